"""The schema of a file of learning-rate trials (``bnprobe lr-limit``): same conventions as the run file's, another table.

A trial is the script itself, run for some steps with its learning rates multiplied by a factor. Factors lie on a grid of four to a
factor of five, so that trials of different seeds and remedies are trials of the same rates.
"""

from __future__ import annotations

from bnprobe.store.schema import TEXT, Variable

SCHEMA_NAME = "bnprobe-limits"
SCHEMA_VERSION = 1
CONVENTIONS = f"{SCHEMA_NAME}-{SCHEMA_VERSION}"

DIMENSIONS = {
    "trial": "one run of the script at a scaled learning rate",
    "sample": "one step of one trial; trials are stored end to end",
    "prediction": "a limit that a trial's own recording predicts",
}

_TRIAL = [
    Variable("trial", ("trial",), "i4", "1", "index of the trial, in the order in which they ended"),
    Variable("trial_remedy", ("trial",), TEXT, "", "active remedies, joined by '+'; NONE without any"),
    Variable("trial_seed", ("trial",), "i4", "1", "seed; 0 is the script as it is"),
    Variable("trial_factor", ("trial",), "f8", "1", "factor on every learning rate of the script", "5^(grid index / 4)"),
    Variable(
        "trial_rate",
        ("trial",),
        "f8",
        "1",
        "the rate that was tried: the factor times the script's own rate",
        "factor x max over trials and steps of (largest group learning rate / factor)",
    ),
    Variable("trial_outcome", ("trial",), TEXT, "", "trains, stuck, diverges, or failed where the script ended for another reason"),
    Variable("trial_stuck_by", ("trial",), TEXT, "", "of a stuck trial: slow (its weights hardly moved), risen (its loss rose) or level"),
    Variable("trial_reason", ("trial",), TEXT, "", "why, in one sentence"),
    Variable("trial_layer", ("trial",), TEXT, "", "the first layer that deviated from its baseline"),
    Variable("trial_layer_step", ("trial",), "i8", "1", "the step at which it did"),
    Variable("trial_end_step", ("trial",), "i8", "1", "the step at which training diverged"),
    Variable("trial_end_rate", ("trial",), "f8", "1", "the largest learning rate in use at that step"),
    Variable("trial_steps", ("trial",), "i4", "1", "steps taken"),
    Variable("trial_first_loss", ("trial",), "f8", "as the loss", "first finite loss"),
    Variable("trial_final_loss", ("trial",), "f8", "as the loss", "median of the last quarter of the losses before a divergence"),
    Variable("trial_peak_rate", ("trial",), "f8", "1", "largest learning rate that any group had at any step"),
    Variable("trial_remedy_acts", ("trial",), TEXT, "", "what the remedies acted on"),
    Variable("trial_protection", ("trial",), TEXT, "", "how the user's files were protected"),
    Variable("trial_seconds", ("trial",), "f8", "s", "duration of the trial, including the start of python"),
    Variable("trial_output", ("trial",), TEXT, "", "last lines that the script wrote, where it failed"),
]

_SAMPLE = [
    Variable("sample", ("sample",), "i4", "1", "index of the sample"),
    Variable("sample_trial", ("sample",), "i4", "1", "index of its trial"),
    Variable("sample_step", ("sample",), "i8", "1", "optimizer step, counted from 0"),
    Variable("sample_loss", ("sample",), "f8", "as the loss", "loss handed to backward"),
    Variable("sample_rate", ("sample",), "f8", "1", "largest learning rate of any group"),
]

_PREDICTION = [
    Variable("prediction", ("prediction",), "i4", "1", "index of the prediction"),
    Variable("prediction_remedy", ("prediction",), TEXT, "", "remedies of the trial that was recorded, joined by '+'; NONE without any"),
    Variable(
        "prediction_estimate",
        ("prediction",),
        TEXT,
        "",
        "curvature; line probe, loss rises; line probe, diverges, then ' with NAME' where the update was projected as NAME does; "
        "all line probes, training stops: one for the recording, at its last probe",
    ),
    Variable("prediction_step", ("prediction",), "i8", "1", "step at which it was made"),
    Variable("prediction_low", ("prediction",), "f8", "1", "learning rate predicted to hold at that step", "s_low x rate"),
    Variable("prediction_high", ("prediction",), "f8", "1", "learning rate predicted to fail at that step", "s_high x rate"),
]

VARIABLES: dict[str, Variable] = {variable.name: variable for variable in [*_TRIAL, *_SAMPLE, *_PREDICTION]}
