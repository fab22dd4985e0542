"""Outlier channels of activations: whether a few channels carry most of a layer's energy, and which one carries most.

He, Noci, Paliotta, Schlag, Hofmann 2024, "Understanding and Minimising Outlier Features in Neural Network Training", arXiv 2405.19279: with
s_c the root mean square of channel c over batch and positions, the kurtosis is mean_c s_c^4 / (mean_c s_c^2)^2. It is 1 where all channels
are of one size, and C where one carries everything. The channels' means and variances are there already: s_c^2 = m_c^2 + V_c.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bnprobe.measure.moments import Moments
from bnprobe.observe.instruments.instrument import Instrument, Surroundings

Vector = NDArray[np.float64]


class Kurtosis(Instrument):
    """Looks at the moments of every measured layer.

    Args:
        around: not needed.
    """

    def __init__(self, around: Surroundings) -> None:
        del around

    def from_moments(self, layers: Mapping[int, Moments]) -> dict[str, dict[int, float]]:
        """Return kurtosis and outlier channel by layer; a layer of one channel, of zeros, or that is not finite has neither.

        Args:
            layers: moments by place of the layer.
        """
        together = {place: one._replace(packed=one.packed[None]) for place, one in layers.items()}
        columns = self.from_moments_of_steps(together, max(layers, default=-1) + 1)
        return {name: {place: float(value) for place, value in enumerate(column[0]) if value == value} for name, column in columns.items()}

    def from_moments_of_steps(self, layers: Mapping[int, Moments], width: int) -> dict[str, Vector]:
        """Return both for several steps, NaN where there is neither.

        Args:
            layers: moments of all of them by place of the layer.
            width: length of the axis of layers.
        """
        measured = {place: moments for place, moments in layers.items() if moments.channels > 1}
        if not measured:
            return {}
        # All layers at once: their channels lie end to end.
        channels = np.array([moments.channels for moments in measured.values()])
        starts = np.concatenate([[0], np.cumsum(channels)[:-1]])
        with np.errstate(all="ignore"):
            energy = np.concatenate([moments.mean for moments in measured.values()], axis=1) ** 2
            energy += np.concatenate([moments.variance for moments in measured.values()], axis=1)
            largest = np.maximum.reduceat(energy, starts, axis=1)
            energy /= np.repeat(largest, channels, axis=1)  # squares of tiny energies would be zero
            kurtosis = channels * np.add.reduceat(energy**2, starts, axis=1) / np.add.reduceat(energy, starts, axis=1) ** 2
        # The first channel whose energy is the largest.
        places = np.where(energy == 1.0, np.arange(energy.shape[1]), energy.shape[1])
        outlier = np.minimum.reduceat(places, starts, axis=1) - starts
        is_known = (largest > 0.0) & np.isfinite(largest)
        found = {"activation_kurtosis": kurtosis, "activation_outlier_channel": outlier}
        columns = {name: np.full((len(energy), width), np.nan) for name in found}
        for name, values in found.items():
            columns[name][:, list(measured)] = np.where(is_known, values, np.nan)
        return {name: column for name, column in columns.items() if not np.isnan(column).all()}
