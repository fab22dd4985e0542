"""Where the first value that is not finite arose: in which signal of which layer, in words, and what to do there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnprobe.analyse.layers import module_of
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import every_step, module_place


class NonfiniteOrigin(NamedTuple):
    """Where the first value that is not finite arose: in words, in which signal and layer, and what to do there."""

    place: str
    signal: str
    layer: int | None
    advice: str


def origin_of(run: RunAnalysis, row: int) -> NonfiniteOrigin:
    """Look at a row: forward first, in order of depth, then the loss, then backward, from the loss on."""
    forward = np.flatnonzero(run.recorded.activation.nonfinite[row] > 0)
    backward = np.flatnonzero(run.recorded.activation_gradient.nonfinite[row] > 0)
    depth = np.array([layer.depth for layer in run.recorded.layers])
    if forward.size:
        layer = int(forward[np.argmin(depth[forward])])
        described, module = run.recorded.layers[layer], module_place(run, layer)
        made_by = str(run.recorded.layer_made_by[layer])
        if described.role == "input" and made_by:
            place = f"in what the operation `{made_by}` gives to {module}"
            return NonfiniteOrigin(place, "input", layer, "Look there for a division by zero, or the root or logarithm of zero or less.")
        if described.role == "input":
            return NonfiniteOrigin(
                f"in the input of {module}", "input", layer, "Look at the data of that step, and leave such samples out."
            )
        place = f"in the forward pass of {module_of(described.name)} ({described.type})"
        return NonfiniteOrigin(place, "activations", layer, "Look there for a division by zero, or the root or logarithm of zero or less.")
    if row in run.measured_rows and not np.isfinite(run.recorded.loss[row]):
        return _in_the_loss()
    if backward.size:
        layer = int(backward[np.argmax(depth[backward])])
        place = f"in the backward pass, between the loss and {module_place(run, layer)}"
        advice = "Look there for the gradient of a root, norm or logarithm at zero, which is infinite; add a small number inside."
        return NonfiniteOrigin(place, "activation gradients", layer, advice)
    if row in run.measured_rows:
        return _in_the_loss()
    advice = every_step(run, "Record again to learn in which module; there will be a division, root or logarithm of zero")
    return NonfiniteOrigin("out of sight, where layers were not measured,", "loss", None, advice)


def _in_the_loss() -> NonfiniteOrigin:
    return NonfiniteOrigin(
        "in the loss itself or its targets, all activations being finite,",
        "loss",
        None,
        "Look at how the loss is computed, and at the targets of that step: the logarithm of zero, a division by zero or by the size of an "
        "empty set, an exponential that overflows.",
    )


def nonfinite_count(run: RunAnalysis, row: int, layer: int) -> float:
    """Values that are not finite in a layer's activations or, where those are, in their gradients."""
    forward = float(run.recorded.activation.nonfinite[row, layer])
    return forward if forward > 0 else float(run.recorded.activation_gradient.nonfinite[row, layer])
