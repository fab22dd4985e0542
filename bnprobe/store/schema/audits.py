"""Variables of an audit: the forward computed again."""

from __future__ import annotations

from bnprobe.store.schema.variable import TEXT, Variable

AUDIT = [
    Variable("audit", ("audit",), "i8", "1", "step whose forward was computed again"),
    Variable("audit_loss", ("audit",), "f8", "as the loss", "loss that was descended"),
    Variable(
        "audit_loss_running",
        ("audit",),
        "f8",
        "as the loss",
        "the same of the same batch, every batch norm on its running statistics as they were before the batch; dropout as it was",
    ),
    Variable(
        "audit_loss_evaluation", ("audit",), "f8", "as the loss", "that, and without dropout: what evaluation would make of the batch"
    ),
    Variable("audit_replay_error", ("audit",), "f8", "1", "how far the loss computed again is from the one that was descended, relative"),
    Variable("audit_seconds", ("audit",), "f8", "s", "duration of the audit"),
    Variable("audit_samples", ("audit",), "f4", "samples", "samples of the batch, of which one was exchanged for another"),
    Variable("audit_reason", ("audit",), TEXT, "", "why there is no number; else empty"),
    Variable(
        "audit_evaluation_gap",
        ("audit", "layer"),
        "f4",
        "1",
        "how far the signal is off where all batch norms use their running statistics, on the same batch; dropout as it was",
        "rms over eight samples of y_running - y, over the deviation of y",
    ),
    Variable(
        "audit_coupling",
        ("audit", "layer"),
        "f4",
        "1",
        "how far the signals of eight samples move when another sample of the batch is exchanged",
        "rms over other samples of y' - y, over the deviation of y",
    ),
    Variable(
        "audit_dropout_gap",
        ("audit", "layer"),
        "f4",
        "1",
        "at a batch norm: how far statistics of its input without dropout are from those with it",
        "sqrt(mean_c [((m' - m) / s)^2 + (s' / s - 1)^2]), m, s with and m', s' without dropout",
        "Li et al. 2019 (1801.05134)",
    ),
    Variable(
        "audit_values",
        ("audit", "layer"),
        "f4",
        "1",
        "at a norm: values from which each of its statistics is taken",
        "numel(x) / statistics",
    ),
    Variable("audit_time", ("audit", "layer"), "f4", "1", "at a norm: its share of the time of the forward's operations"),
    Variable("audit_memory", ("audit", "layer"), "f4", "1", "at a norm: its share of the bytes that the forward's operations gave out"),
]
