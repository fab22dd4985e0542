"""Where the first value that is not finite arose: in which signal of which layer, in words, and what to do there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bnprobe.analyse.layers import module_of
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import every_step, module_place

_FORWARD = "Look there for a division by zero, or the root or logarithm of zero or less."
_BACKWARD = "Look there for the gradient of a root, norm or logarithm at zero, which is infinite; add a small number inside."
_EDITED = "Look at what changes gradients between `backward()` and `step()`: a division by a norm of zero, a factor that is not finite."
_DATA = "Look at the data of that step, and leave such samples out."
_LOSS = (
    "Look at how the loss is computed, and at the targets of that step: the logarithm of zero, a division by zero or by the size of an "
    "empty set, an exponential that overflows."
)


class NonfiniteOrigin(NamedTuple):
    """Where the first value that is not finite arose: in words, in which signal and layer, and what to do there.

    Attributes:
        traced_step: the step, where the recorder found the place in the graph of a loss or in gradients, whatever was measured.
    """

    place: str
    signal: str
    layer: int | None
    advice: str
    traced_step: int | None = None


def origin_of(run: RunAnalysis, row: int) -> NonfiniteOrigin:
    """Say where the first value that is not finite arose, of those up to a row at which some were seen.

    What was measured says most; where that came too late, the recorder's own trace (``observe/instruments/nonfinite_trace``) says it.
    """
    trace = _trace(run)
    if trace is None or trace["step"] > (run.step(row) or 0):
        return measured_origin(run, row)
    if row in run.measured_rows and trace["step"] == run.step(row):
        measured = measured_origin(run, row)
        if not _says_more(run, trace, measured):
            is_backward = measured.signal == "activation gradients" and trace.get("kind") == "gradient"
            return measured._replace(place=measured.place + _at_slopes(trace)) if is_backward else measured
        if measured.layer is None:
            trace["in_loss"] = True  # all activations were finite
        else:
            trace["layer"] = ""  # what the layer was given was made before it
    return _traced_origin(run, trace)


def _says_more(run: RunAnalysis, trace: Mapping[str, Any], measured: NonfiniteOrigin) -> bool:
    """Whether the graph of the step's loss tells the place better than the layers do that were measured at it.

    It does where no layer was spoilt, and where one was given what an operation before it had made.
    """
    if trace.get("kind") == "gradient":
        return False
    return measured.layer is None or (measured.signal == "input" and trace.get("kind") == "operation" and bool(trace.get("after")))


def _trace(run: RunAnalysis) -> dict[str, Any] | None:
    try:
        trace = json.loads(str(run.recorded.attributes.get("nonfinite_origin", "null")))
    except ValueError:
        return None
    return trace if isinstance(trace, dict) and isinstance(trace.get("step"), int) else None


def _traced_origin(run: RunAnalysis, trace: Mapping[str, Any]) -> NonfiniteOrigin:
    kind, operation, step = trace.get("kind"), trace.get("operation", ""), int(trace["step"])
    places = {layer.name: place for place, layer in enumerate(run.recorded.layers)}
    layer, before = places.get(str(trace.get("layer"))), places.get(str(trace.get("after")))
    module = module_place(run, layer) if layer is not None else "the network"
    behind = f", behind {module_place(run, before)}" if before is not None else ""
    if kind == "gradient" and layer is not None and _was_given_finite(run, step, layer):
        place = f"in the gradient of {module}, although what the backward pass brought to it was finite,"
        return NonfiniteOrigin(place, "gradients of parameters", layer, _EDITED, step)
    if kind == "gradient":
        place = f"in the backward pass, between the loss and {module}{_at_slopes(trace)}"
        return NonfiniteOrigin(place, "activation gradients", layer, _BACKWARD, step)
    if kind == "parameter":
        return NonfiniteOrigin(f"in a parameter of {module}", "activations", layer, "Look at what wrote into it.", step)
    if trace.get("in_loss") and kind == "data":
        place = f"in what the loss was given beside the network's output, at its operation `{operation}`{behind},"
        return NonfiniteOrigin(place, "loss", before, "Look at the targets and weights of that step, and leave such samples out.", step)
    if trace.get("in_loss"):
        place = f"in the loss itself, at its operation `{operation}`{behind}, all activations being finite,"
        return NonfiniteOrigin(place, "loss", before, _LOSS, step)
    if kind == "data":
        place = f"in the data given to {module}" if layer is not None else f"in data, at the operation `{operation}`{behind},"
        return NonfiniteOrigin(place, "input", layer if layer is not None else before, _DATA, step)
    if layer is None:
        return NonfiniteOrigin(f"at the operation `{operation}`{behind},", "activations", before, _FORWARD, step)
    return NonfiniteOrigin(f"in the forward pass of {module}, at the operation `{operation}`,", "activations", layer, _FORWARD, step)


def _at_slopes(trace: Mapping[str, Any] | None) -> str:
    """The operations at which a gradient may have become infinite, as a clause."""
    names = [f"`{name}`" for name in (trace or {}).get("operations", ())]
    return f", most likely at {' or '.join(names)}, which has an infinite slope somewhere," if names else ""


def _was_given_finite(run: RunAnalysis, step: int, layer: int) -> bool:
    """Whether the backward pass of a step was measured, and all that it brought to a layer, and to every other, was finite."""
    rows = np.flatnonzero(run.recorded.step == step)
    gradient = run.recorded.activation_gradient
    return bool(rows.size and np.isfinite(gradient.rms[rows[0], layer]) and not (gradient.nonfinite[rows[0]] > 0).any())


def measured_origin(run: RunAnalysis, row: int) -> NonfiniteOrigin:
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
            return NonfiniteOrigin(place, "input", layer, _FORWARD)
        if described.role == "input":
            return NonfiniteOrigin(f"in the input of {module}", "input", layer, _DATA)
        place = f"in the forward pass of {module_of(described.name)} ({described.type})"
        return NonfiniteOrigin(place, "activations", layer, _FORWARD)
    if row in run.measured_rows and not np.isfinite(run.recorded.loss[row]):
        return _in_the_loss()
    if backward.size:
        layer = int(backward[np.argmax(depth[backward])])
        place = f"in the backward pass, between the loss and {module_place(run, layer)}"
        return NonfiniteOrigin(place, "activation gradients", layer, _BACKWARD)
    if row in run.measured_rows:
        return _in_the_loss()
    advice = every_step(run, "Record again to learn in which module; there will be a division, root or logarithm of zero")
    return NonfiniteOrigin("out of sight, where layers were not measured,", "loss", None, advice)


def _in_the_loss() -> NonfiniteOrigin:
    return NonfiniteOrigin(
        "in the loss itself or its targets, all activations being finite,",
        "loss",
        None,
        _LOSS,
    )


def nonfinite_count(run: RunAnalysis, row: int, layer: int) -> float:
    """Values that are not finite in a layer's activations or, where those are, in their gradients."""
    forward = float(run.recorded.activation.nonfinite[row, layer])
    return forward if forward > 0 else float(run.recorded.activation_gradient.nonfinite[row, layer])
