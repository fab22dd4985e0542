"""The moments of two batches of one signal together."""

from __future__ import annotations

import numpy as np

from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.moments import Moments, Summary
from bnprobe.measure.unchecked import unchecked


@unchecked
def merge(a: Moments, b: Moments) -> Moments:
    """Merge the moments of two batches of one layer (Chan, Golub, LeVeque 1979), channel by channel.

    The batches may differ in samples and positions; samples weigh by their positions.

    Args:
        a: moments on the host.
        b: those of another batch with as many channels.

    Returns:
        The moments of both batches as one.
    """
    weight_a, weight_b = a.samples * a.positions, b.samples * b.positions
    share = weight_b / (weight_a + weight_b)
    parts = [np.asarray(moments.packed[:-SUMMARY]).reshape(3, -1) for moments in (a, b)]
    merged = (1.0 - share) * parts[0] + share * parts[1]
    delta = parts[1][0] - parts[0][0]
    merged[1:] += share * (1.0 - share) * delta * delta
    mean, variance, between = merged
    energies = [np.mean(mean**2), np.mean(between), np.mean(variance), np.mean((mean == 0) & (variance == 0))]
    first, second = a.summary, b.summary
    extremes = [
        np.fmin(first.low, second.low),
        np.fmax(first.high, second.high),
        first.zeros + second.zeros,
        first.nonfinite + second.nonfinite,
    ]
    samples = a.samples + b.samples
    summary = Summary(*extremes, *energies)
    return Moments(samples, (weight_a + weight_b) // samples, np.concatenate([merged.ravel(), summary]))
