"""Units that answer no more: channels that are zero for the whole batch, and bounded activations driven to their bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

Array = NDArray[np.float64]

#: Operations of bounded output, by the name of the module or of the operation that made a measured input.
_TANH, _LOGISTIC = ("Tanh", "tanh"), ("Sigmoid", "sigmoid")
#: Bounded at -1 and 1 unless told otherwise; plain recurrent layers may have a ReLU instead of a tanh.
_WITHIN_ONE = ("RNN", "RNNCell", "Hardtanh", "hardtanh")


def dead_share(run: Run) -> Array:
    """Share of channels that are zero for the whole batch, (S, L): mean_c [x = 0 for all n, p]."""
    view = RunView.of(run)
    share: Array = view.activation_dead.astype(float)
    return share


def lasting_dead_share(run: Run, steps: int) -> Array:
    """Share of channels that stayed silent over the last observed ``steps`` steps of each layer, (L,); NaN where never observed.

    The smallest share of those steps: an upper bound of the channels that were silent in all of them, which a batch of few
    samples, where different channels are silent by chance each time, keeps low. Where the last steps hold at least two
    snapshots the channels themselves are counted instead: silent is a channel with mean and variance zero in every one of them.
    """
    view = RunView.of(run)
    share = dead_share(run)
    result = np.full(len(run.layers), np.nan)
    for layer in range(len(run.layers)):
        seen = np.flatnonzero(np.isfinite(share[:, layer]))[-steps:]
        if seen.size:
            result[layer] = share[seen, layer].min()
            counted = _silent_in_snapshots(run, layer, int(view.step[seen[0]]))
            result[layer] = result[layer] if counted is None else min(result[layer], counted)
    return result


def _silent_in_snapshots(run: Run, layer: int, since: int) -> float | None:
    view = RunView.of(run)
    late = np.flatnonzero(view.snapshot >= since)
    channels = run.channel_slice(layer)
    if late.size < 2 or channels.stop <= channels.start:
        return None
    mean, variance = view.channel_mean[late, channels], view.channel_variance[late, channels]
    seen = np.isfinite(mean).all(axis=1)
    if seen.sum() < 2:
        return None
    silent = ((mean[seen] == 0) & (variance[seen] == 0)).all(axis=0)
    return float(silent.mean())


def remaining_slope(run: Run) -> Array:
    """Mean derivative of bounded activations over its largest value, (S, L), dimensionless in [0, 1]; NaN for other layers.

    For y = tanh(x), dy/dx = 1 - y^2, whose mean is 1 - rms^2 exactly. For y = 1 / (1 + exp(-x)), dy/dx = y (1 - y) <= 1/4, whose mean is
    mean_c (m_c - m_c^2 - v_c): known where every channel was stored. A plain recurrent layer gives out what its tanh made.
    A module of the script's own that gives out values up to both -1 and 1, and none beyond, is taken for one that ends in a tanh.
    For a tanh of straight pieces the slope is the share of values between its bounds, which is above 1 - rms^2, but small where that is.
    """
    view = RunView.of(run)
    result = np.full((run.steps, len(run.layers)), np.nan)
    for index, layer in enumerate(run.layers):
        made_by = layer.type if layer.role == "output" else str(view.layer_made_by[index]).removesuffix("_")
        is_own = layer.kind == "other" and layer.role == "output" and _reaches_one(run, index)
        if made_by in _TANH or ((made_by in _WITHIN_ONE or is_own) and _is_within_one(run, index)):
            rms = view.activation.rms[:, index].astype(float)
            result[:, index] = np.where(np.isfinite(rms), np.clip(1.0 - rms**2, 0.0, 1.0), np.nan)
        elif made_by in _LOGISTIC:
            channels, rows = run.channel_slice(index), np.searchsorted(view.step, view.snapshot)
            mean, variance = view.channel_mean[:, channels].astype(float), view.channel_variance[:, channels].astype(float)
            known = rows < run.steps
            with np.errstate(over="ignore", invalid="ignore"):
                result[rows[known], index] = 4.0 * (mean - mean**2 - variance)[known].mean(axis=1)
    return result


def _is_within_one(run: Run, layer: int) -> bool:
    """Whether a recurrent layer's output never left [-1, 1]: its nonlinearity is tanh, not ReLU."""
    view = RunView.of(run)
    largest = np.fmax(np.abs(view.activation.smallest[:, layer]), np.abs(view.activation.largest[:, layer]))
    return bool(np.isfinite(largest).any() and (view.activation.smallest[:, layer] < 0).any() and np.nanmax(largest) <= 1.0)


def _reaches_one(run: Run, layer: int) -> bool:
    """Whether values came to both -1 and 1, but for rounding, and not all of them, as those of a sign, which is at its bounds by design."""
    view = RunView.of(run)
    if np.fmin.reduce(view.activation.rms[:, layer], initial=1.0) > 0.99:
        return False
    ends = np.fmin.reduce(view.activation.smallest[:, layer], initial=0.0), np.fmax.reduce(view.activation.largest[:, layer], initial=0.0)
    return bool(-1.0 <= ends[0] < -0.999 and 0.999 < ends[1] <= 1.0)
