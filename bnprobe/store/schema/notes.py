"""Variables of what is said beside the numbers: events, rows that were given up, resumptions, coverage."""

from __future__ import annotations

from bnprobe.store.schema.dimensions import STEP_OF
from bnprobe.store.schema.variable import TEXT, Variable

NOTES = [
    Variable("event", ("event",), "i4", "1", "index of the event"),
    Variable("event_step", ("event",), "i8", "1", "step of the event"),
    Variable("event_kind", ("event",), TEXT, "", "divergence, warning, schedule, remedy, fault, model, clock or resumption"),
    Variable("event_text", ("event",), TEXT, "", "what happened, in words"),
    Variable("passed", ("passed",), "i8", "1", "optimizer step whose detail was given up (record --keep), in no order"),
    Variable("passed_loss", ("passed",), "f8", "as the loss", "its loss"),
    Variable("passed_gradient_norm", ("passed",), "f8", "as the gradient", "norm of all gradients that its update used"),
    Variable("passed_seconds", ("passed",), "f8", "s", "its duration, the recorder's share included"),
    Variable("passed_skipped", ("passed",), "i4", "1", "1 where a gradient scaler skipped its update"),
    Variable("resumption", ("resumption",), "i4", "1", "index of the start"),
    Variable("resumption_step", ("resumption",), "i8", "1", "first step that it recorded; what had been recorded from there on is void"),
    Variable("resumption_before", ("resumption",), "i8", "1", "last step that had been recorded before it"),
    Variable("resumption_known_by", ("resumption",), TEXT, "", "how that step was known: given, weights, optimizer, or none of them"),
    Variable("resumption_created", ("resumption",), TEXT, "", "when its recording began: UTC, ISO 8601"),
    Variable("resumption_seconds", ("resumption",), "f8", "s", "time between the last recorded step and the first of this start"),
    Variable("resumption_command", ("resumption",), TEXT, "", "its command line"),
    Variable("resumption_ended", ("resumption",), TEXT, "", "how the start before it had ended; running: it was killed"),
    *(
        Variable(f"resumption_rows_{axis}", ("resumption",), "i8", "count", f"rows along {axis} that were in the file before it")
        for axis in STEP_OF
    ),
    Variable("coverage", ("coverage",), "i4", "1", "index of the entry"),
    Variable("coverage_subject", ("coverage",), TEXT, "", "what could not be observed"),
    Variable("coverage_reason", ("coverage",), TEXT, "", "why, and what would help"),
    Variable("coverage_count", ("coverage",), "i8", "1", "how often it happened; 0 where that was taken back"),
]
