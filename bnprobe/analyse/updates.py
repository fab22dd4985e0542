"""Updates: how far the optimizer really moved the weights, against their size."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.layers import TRANSFORMING, module_of
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

Array = NDArray[np.float64]


def update_ratio(run: Run) -> Array:
    """||dw|| / ||w||, (S, P), of the step actually taken. NaN for 0 / 0, infinite for a first step away from zero."""
    view = RunView.of(run)
    return _ratio(view.update_norm.astype(float), view.weight_norm.astype(float))


def layer_update_ratio(run: Run) -> Array:
    """||dw|| / ||w|| over all parameters of each layer's module, (S, L); NaN for a layer whose module has none.

    Norms add in squares, so that a bias which starts at zero does not hide the weight beside it.
    """
    view = RunView.of(run)
    moved = _layer_norm(run, view.update_norm)
    return _ratio(moved, _layer_norm(run, view.weight_norm))


def layer_step_size(run: Run) -> Array:
    """||dw|| over the larger of ||w|| and the norm that torch's initialisation would have given, by layer, (S, L).

    Weights that start at zero or near it move by many times their size and are none the worse for it: what a step is measured against is
    the size at which a weight of that shape works. For (O, I, ...) that is sqrt(O / 3): entries uniform within 1 / sqrt(fan in), the
    default of torch's linear and convolution layers. A module of vectors and single numbers alone, a bias or the factor of a residual
    branch say, is measured against unit entries: whatever axes of one entry it was given, what has one longer axis is a vector where no
    layer is known to multiply by it.
    """
    by_module = module_step_size(run)
    missing = np.full(run.steps, np.nan)
    return np.array([by_module.get(module_of(layer.name), missing) for layer in run.layers]).T.reshape(run.steps, len(run.layers))


def module_step_size(run: Run) -> dict[str, Array]:
    """The same by module that owns parameters, (S,) each: also where no signal of the module's own was measured, as of the model itself."""
    view = RunView.of(run)
    transforming = {module_of(layer.name) for layer in run.layers if layer.kind in TRANSFORMING}
    usual = {
        module: _usual_norm([run.parameters[index].shape for index in own], module in transforming) for module, own in _owned(run).items()
    }
    return {
        module: _ratio(total_norm(view.update_norm[:, own]), np.fmax(total_norm(view.weight_norm[:, own]), usual[module]))
        for module, own in _owned(run).items()
    }


def layer_gradient_norm(run: Run) -> Array:
    """Norm of the gradient over all parameters of each layer's module, (S, L); NaN for a layer whose module has none."""
    view = RunView.of(run)
    return _layer_norm(run, view.parameter_gradient_norm)


def layer_was_stepped(run: Run) -> NDArray[np.bool_]:
    """Whether any optimizer that trains a layer's parameters stepped, (S, L): where several take turns, a step is one's own.

    Parameters that no optimizer has are taken to be moved at every step.
    """
    has_stepped = np.isfinite(RunView.of(run).learning_rate)
    result = np.ones((run.steps, len(run.layers)), dtype=bool)
    owned = _owned(run)
    for index, layer in enumerate(run.layers):
        groups = {run.parameters[column].group for column in owned.get(module_of(layer.name), [])}
        if groups and all(0 <= group < has_stepped.shape[1] for group in groups):
            result[:, index] = has_stepped[:, sorted(groups)].any(axis=1)
    return result


def total_norm(values: NDArray[np.floating]) -> Array:
    """Norm over all parameters, (S, P) to (S,). NaN where nothing was observed, infinite where any norm is."""
    values = np.asarray(values, dtype=float)
    with np.errstate(over="ignore", invalid="ignore"):
        total: Array = np.sqrt(np.nansum(values**2, axis=1))
    return np.where(np.isnan(values).all(axis=1), np.nan, total) if values.shape[1] else np.full(len(values), np.nan)


def _layer_norm(run: Run, norms: NDArray[np.floating]) -> Array:
    owned = _owned(run)
    result = np.full((run.steps, len(run.layers)), np.nan)
    for index, layer in enumerate(run.layers):
        if columns := owned.get(module_of(layer.name)):
            result[:, index] = total_norm(norms[:, columns])
    return result


def _owned(run: Run) -> dict[str, list[int]]:
    """Indices of the parameters of each module that has any."""
    owned: dict[str, list[int]] = {}
    for index, parameter in enumerate(run.parameters):
        owned.setdefault(parameter.layer, []).append(index)
    return owned


def _usual_norm(shapes: Sequence[str], is_transforming: bool) -> float:
    """Norm that torch's initialisation would have given a module's weights; a module of vectors alone is measured against unit entries."""
    axes = [[int(axis) for axis in re.findall("[0-9]+", shape)] for shape in shapes]
    matrices = [one for one in axes if len(one) > 1 and (is_transforming or sum(axis > 1 for axis in one) > 1)]
    largest = max((math.prod(one) for one in axes), default=0)  # a single number has no axes, and one entry
    return math.sqrt(sum(one[0] / 3 for one in matrices)) or math.sqrt(largest)


def _ratio(part: Array, whole: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = part / whole
    return ratio
