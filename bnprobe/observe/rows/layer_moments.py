"""Moments of one layer at one step, on the host, and how those of several micro-steps merge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.measure.fused import SUMMARY

Vector = NDArray[np.float64]


class LayerMoments(NamedTuple):
    """Moments of one layer at one step, on the host; ``packed`` as in ``measure.moments.Moments``."""

    samples: int
    positions: int
    packed: Vector

    @property
    def channels(self) -> int:
        """C."""
        return (len(self.packed) - SUMMARY) // 3


def merge(a: LayerMoments, b: LayerMoments) -> LayerMoments:
    """Merge the moments of two batches of one layer (Chan, Golub, LeVeque 1979), channel by channel.

    The batches may differ in samples and positions; samples weigh by their positions.
    """
    weight_a, weight_b = a.samples * a.positions, b.samples * b.positions
    share = weight_b / (weight_a + weight_b)
    parts = [moments.packed[:-SUMMARY].reshape(3, -1) for moments in (a, b)]
    with np.errstate(over="ignore", invalid="ignore"):
        merged = (1.0 - share) * parts[0] + share * parts[1]
        delta = parts[1][0] - parts[0][0]
        merged[1:] += share * (1.0 - share) * delta * delta
        energies = [np.mean(merged[0] ** 2), np.mean(merged[2]), np.mean(merged[1]), np.mean((merged[0] == 0) & (merged[1] == 0))]
    first, second = a.packed[-SUMMARY:], b.packed[-SUMMARY:]
    extremes = [np.fmin(first[0], second[0]), np.fmax(first[1], second[1]), first[2] + second[2], first[3] + second[3]]
    samples = a.samples + b.samples
    return LayerMoments(samples, (weight_a + weight_b) // samples, np.concatenate([merged.ravel(), extremes, energies]))
