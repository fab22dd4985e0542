"""Outlier channels of activations: whether a few channels carry most of a layer's energy, and which one carries most.

He, Noci, Paliotta, Schlag, Hofmann 2024, "Understanding and Minimising Outlier Features in Neural Network Training", arXiv 2405.19279: with
s_c the root mean square of channel c over batch and positions, the kurtosis is mean_c s_c^4 / (mean_c s_c^2)^2. It is 1 where all channels
are of one size, and C where one carries everything. The channels' means and variances are there already: s_c^2 = m_c^2 + V_c.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnprobe.measure.moments import Moments
from bnprobe.observe.instrument import Instrument, Surroundings


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
        measured = {place: moments for place, moments in layers.items() if moments.channels > 1}
        if not measured:
            return {}
        # All layers at once: their channels lie end to end.
        channels = np.array([moments.channels for moments in measured.values()])
        starts = np.concatenate([[0], np.cumsum(channels)[:-1]])
        with np.errstate(all="ignore"):
            energy = np.concatenate([moments.mean for moments in measured.values()]) ** 2
            energy += np.concatenate([moments.variance for moments in measured.values()])
            largest = np.maximum.reduceat(energy, starts)
            energy /= np.repeat(largest, channels)  # squares of tiny energies would be zero
            kurtosis = channels * np.add.reduceat(energy**2, starts) / np.add.reduceat(energy, starts) ** 2
        tops = np.flatnonzero(energy == 1.0)
        outlier = tops[np.minimum(np.searchsorted(tops, starts), max(len(tops) - 1, 0))] - starts if len(tops) else starts
        known = (largest > 0.0) & np.isfinite(largest)
        places = [place for place, is_known in zip(measured, known, strict=True) if is_known]
        return {
            "activation_kurtosis": dict(zip(places, kurtosis[known].tolist(), strict=True)),
            "activation_outlier_channel": dict(zip(places, outlier[known].tolist(), strict=True)),
        }
