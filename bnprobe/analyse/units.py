"""Units that never answer: channels whose activation is zero for the whole batch, step after step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.reader import Run

Array = NDArray[np.float64]


def dead_share(run: Run) -> Array:
    """Share of channels that are zero for the whole batch, (S, L): mean_c [x = 0 for all n, p]."""
    share: Array = run["activation_dead"].astype(float)
    return share


def lasting_dead_share(run: Run, steps: int) -> Array:
    """Share of channels that stayed silent over the last observed ``steps`` steps of each layer, (L,); NaN where never observed.

    The smallest share of those steps: an upper bound of the channels that were silent in all of them, which a batch of few
    samples, where different channels are silent by chance each time, keeps low. Where the last steps hold at least two
    snapshots the channels themselves are counted instead: silent is a channel with mean and variance zero in every one of them.
    """
    share = dead_share(run)
    result = np.full(len(run.layers), np.nan)
    for layer in range(len(run.layers)):
        seen = np.flatnonzero(np.isfinite(share[:, layer]))[-steps:]
        if seen.size:
            result[layer] = share[seen, layer].min()
            counted = _silent_in_snapshots(run, layer, int(run["step"][seen[0]]))
            result[layer] = result[layer] if counted is None else min(result[layer], counted)
    return result


def _silent_in_snapshots(run: Run, layer: int, since: int) -> float | None:
    late = np.flatnonzero(run["snapshot"] >= since)
    channels = run.channel_slice(layer)
    if late.size < 2 or channels.stop <= channels.start:
        return None
    mean, variance = run["channel_mean"][late, channels], run["channel_variance"][late, channels]
    seen = np.isfinite(mean).all(axis=1)
    if seen.sum() < 2:
        return None
    silent = ((mean[seen] == 0) & (variance[seen] == 0)).all(axis=0)
    return float(silent.mean())
