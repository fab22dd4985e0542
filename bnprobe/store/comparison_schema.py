"""The schema of a file of compared techniques (``bnprobe compare``): that of learning-rate trials, with what was held out and what it cost.

A trial is the script itself with one technique, at its learning rates times a factor and at one seed: a short one that looks for the limit
of the rate, or one at full length.
"""

from __future__ import annotations

from bnprobe.store import limits_schema
from bnprobe.store.schema import TEXT, Variable

SCHEMA_NAME = "bnprobe-comparison"
SCHEMA_VERSION = 1

DIMENSIONS = {
    "trial": "one run of the script with a technique",
    "sample": "one step of one trial; trials are stored end to end",
    "evaluation": "one evaluation that the script made within a trial; trials are stored end to end",
}

_AS_IN_LIMITS = [
    variable
    for variable in limits_schema.VARIABLES.values()
    if variable.dims in (("trial",), ("sample",)) and variable.name not in ("trial_outcome", "trial_remedy", "sample_rate")
]

_TRIAL = [
    Variable("trial_remedy", ("trial",), TEXT, "", "the technique: remedies joined by '+', layer-norm, or NONE"),
    Variable(
        "trial_outcome",
        ("trial",),
        TEXT,
        "",
        "trains, stuck, diverges, unclear; refused where it does not fit the network; failed where the script ended with an error",
    ),
    Variable("trial_length", ("trial",), "i8", "1", "optimizer steps after which it was to end; -1 for the script's own length"),
    Variable(
        "trial_held_out_loss",
        ("trial",),
        "f8",
        "as the loss",
        "loss of the last evaluation of the script",
        "sum_i n_i L_i / sum_i n_i over its batches",
    ),
    Variable(
        "trial_held_out_accuracy",
        ("trial",),
        "f8",
        "1",
        "share of its labels that were the class of the largest output",
        "#(argmax = label) / #labels",
    ),
    Variable("trial_held_out_step", ("trial",), "i8", "1", "optimizer steps made before that evaluation"),
    Variable("trial_held_out_samples", ("trial",), "i8", "1", "labels or targets in it"),
    Variable("trial_held_out_source", ("trial",), TEXT, "", "where these numbers come from, or why there are none"),
    Variable("trial_metric", ("trial",), "f8", "", "what --metric found in the output last"),
    Variable(
        "trial_step_seconds",
        ("trial",),
        "f8",
        "s",
        "processor time of a step, all threads, forward to update: the median over steps in which nothing else was measured",
    ),
    Variable("trial_peak_bytes", ("trial",), "f8", "byte", "largest resident memory of the process beyond that with torch imported"),
    Variable("trial_device_bytes", ("trial",), "f8", "byte", "largest memory that torch allocated on an accelerator"),
    Variable("trial_seeding", ("trial",), TEXT, "", "calls of the script that seed, with the seeds that they got instead"),
]

_EVALUATION = [
    Variable("evaluation", ("evaluation",), "i4", "1", "index of the evaluation"),
    Variable("evaluation_trial", ("evaluation",), "i4", "1", "index of its trial"),
    Variable("evaluation_step", ("evaluation",), "i8", "1", "optimizer steps made before it"),
    Variable("evaluation_loss", ("evaluation",), "f8", "as the loss", "its loss, as trial_held_out_loss"),
    Variable("evaluation_accuracy", ("evaluation",), "f8", "1", "its accuracy, as trial_held_out_accuracy"),
    Variable("evaluation_samples", ("evaluation",), "i8", "1", "labels or targets in it"),
]

VARIABLES: dict[str, Variable] = {variable.name: variable for variable in [*_AS_IN_LIMITS, *_TRIAL, *_EVALUATION]}
