"""The axes of the run file."""

from __future__ import annotations

#: The axes, in the order in which a variable names them. All of them can grow while a run is recorded.
DIMENSIONS = {
    "step": "optimizer step, counted from 0",
    "snapshot": "a step at which every channel was stored",
    "passed": "a step whose row along step was given up, to keep a long recording small",
    "layer": "a recorded module call, in order of first call (depth)",
    "channel": "one channel of one layer; layers are stored end to end",
    "parameter": "a trained parameter",
    "group": "a parameter group of an optimizer",
    "curvature": "a step at which the curvature of the loss was probed",
    "audit": "a step at which the forward was computed again, as evaluation would and with other samples",
    "figure": "a step at which what the figures of Bjorck et al. 2018 show was measured",
    "bin": "one bin of a histogram of a weight's gradient",
    "logit": "one entry of the gradient of the loss by the logits",
    "singular": "one singular value",
    "probe": "a line probe: one update, or one variant of it, followed further than the optimizer went",
    "probe_point": "one evaluation of the loss along a probe's line",
    "what_if": "the recorded training trained again from its tape: one rate, one remedy",
    "what_if_point": "one step of such a training",
    "what_if_layer": "a layer that is looked at in such trainings, in order of depth",
    "event": "something the recorder noticed or decided",
    "resumption": "a start of the training, from a checkpoint, that went on in this file",
    "coverage": "something that could not be observed, and why",
}

#: Variables of a step that stay when its row goes, and where.
PASSED = {
    "passed": "step",
    "passed_loss": "loss",
    "passed_gradient_norm": "gradient_norm",
    "passed_seconds": "step_seconds",
    "passed_skipped": "skipped",
}

#: Axes whose rows belong to a step, and the variable that says to which.
STEP_OF = {
    "step": "step",
    "passed": "passed",
    "snapshot": "snapshot",
    "curvature": "curvature",
    "audit": "audit",
    "figure": "figure",
    "bin": "bin_step",
    "logit": "logit_step",
    "singular": "singular_step",
    "probe": "probe_step",
    "event": "event_step",
}
