"""Who is trained: parameters that nobody moves although their layer is at work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.layers import module_of
from bnprobe.store.reader import Run

Array = NDArray[np.float64]


def untrained_elements(run: Run) -> tuple[Array, Array]:
    """Elements of each layer's own parameters that nobody trains, (L,) each: in no optimizer, and asking for no gradient.

    From the last snapshot at which it was looked: a script may free or add parameters on its way. NaN where it never was, and where an
    optimizer moves tensors that are no module's parameters (flat buffers, copies in another precision): the modules' own ones are then
    trained behind their backs.
    """
    free = [index for index, parameter in enumerate(run.parameters) if not parameter.layer]
    if np.isfinite(run["parameter_gradient_norm"][:, free]).any():
        return np.full(len(run.layers), np.nan), np.full(len(run.layers), np.nan)
    return _last(run["forgotten_elements"]), _last(run["frozen_elements"])


def unreached_layers(run: Run) -> NDArray[np.bool_]:
    """Layers whose parameters an optimizer has and that no gradient ever reached, (L,).

    A weight norm is measured when its optimizer steps, a gradient norm only if there is a gradient: a layer of which the one was
    measured, and the other never.
    """
    sound = np.isfinite(run["loss"])  # a gradient that is not finite has no norm, either
    stepped = np.asarray(np.isfinite(run["weight_norm"][sound]).sum(axis=0))
    gradient = run["parameter_gradient_norm"]
    reached = np.asarray((np.isfinite(gradient) | np.isinf(gradient)).any(axis=0))
    owned: dict[str, list[int]] = {}
    for index, parameter in enumerate(run.parameters):
        owned.setdefault(parameter.layer, []).append(index)
    result = np.zeros(len(run.layers), dtype=bool)
    for index, layer in enumerate(run.layers):
        columns = owned.get(module_of(layer.name), [])
        if layer.role == "output" and layer.call == 0 and columns:
            result[index] = bool((stepped[columns] > 1).all() and not reached[columns].any())
    return result


def _last(counts: NDArray[np.floating]) -> Array:
    rows = np.flatnonzero(np.isfinite(counts).any(axis=1))
    return counts[rows[-1]].astype(float) if rows.size else np.full(counts.shape[1], np.nan)
