"""Who is trained: parameters that nobody moves although their layer is at work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.layers import module_of
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

Array = NDArray[np.float64]

#: Share of the trained layers that is most of them.
_MOST = 2 / 3


def untrained_elements(run: Run) -> tuple[Array, Array]:
    """Elements of each layer's own parameters that nobody trains, (L,) each: in no optimizer, and asking for no gradient.

    From the last snapshot at which it was looked: a script may free or add parameters on its way. NaN where it never was, and where an
    optimizer moves tensors that are no module's parameters (flat buffers, copies in another precision): the modules' own ones are then
    trained behind their backs.
    """
    view = RunView.of(run)
    if moves_copies(run):
        return np.full(len(run.layers), np.nan), np.full(len(run.layers), np.nan)
    return _last(view.forgotten_elements), _last(view.frozen_elements)


def moves_copies(run: Run) -> bool:
    """Whether optimizers move tensors that are no module's parameters, which the script copies to or from the network's itself.

    An old layer's parameters that an optimizer still has get no gradient, and stay where they are.
    """
    view = RunView.of(run)
    free = [index for index, parameter in enumerate(run.parameters) if not parameter.layer]
    is_measured, update = np.isfinite(view.weight_norm[:, free]).any(axis=0), view.update_norm[:, free]
    stays = ((update == 0) | ~np.isfinite(update)).all(axis=0) & (update == 0).any(axis=0)
    return bool((is_measured & ~stays).any())


def unreached_layers(run: Run) -> NDArray[np.bool_]:
    """Layers whose parameters an optimizer has and that no gradient ever reached, (L,).

    A weight norm is measured when its optimizer steps, a gradient norm only if there is a gradient: a layer of which the one was
    measured, and the other never, and that no optimizer moved; of a gradient that is spread over ranks there may be no norm. What is cut
    off from the loss lies before what is trained; a single layer behind most of that is an end that nothing uses, as the last one of a
    second stream.
    """
    view = RunView.of(run)
    healthy = np.isfinite(view.loss)  # a gradient that is not finite has no norm, either
    stepped = np.asarray(np.isfinite(view.weight_norm[healthy]).sum(axis=0))
    gradient = view.parameter_gradient_norm
    reached = np.asarray((np.isfinite(gradient) | np.isinf(gradient) | (view.update_norm > 0)).any(axis=0))
    owned: dict[str, list[int]] = {}
    for index, parameter in enumerate(run.parameters):
        owned.setdefault(parameter.layer, []).append(index)
    result = np.zeros(len(run.layers), dtype=bool)
    trained = []
    for index, layer in enumerate(run.layers):
        columns = owned.get(module_of(layer.name), [])
        if layer.role == "output" and layer.call == 0 and columns:
            result[index] = bool((stepped[columns] > 1).all() and not reached[columns].any())
            trained += [layer.depth] if reached[columns].any() else []
    if result.sum() == 1 and trained:
        depth = np.array([layer.depth for layer in run.layers])
        result &= depth < np.quantile(trained, _MOST)
    return result


def _last(counts: NDArray[np.floating]) -> Array:
    rows = np.flatnonzero(np.isfinite(counts).any(axis=1))
    return counts[rows[-1]].astype(float) if rows.size else np.full(counts.shape[1], np.nan)
