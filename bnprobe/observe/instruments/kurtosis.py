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
        kurtosis, outlier = {}, {}
        for place, moments in layers.items():
            energy = moments.mean**2 + moments.variance
            largest = energy.max()
            if moments.channels > 1 and 0.0 < largest < np.inf:
                energy = energy / largest  # squares of tiny energies would be zero
                kurtosis[place] = float(np.mean(energy**2) / np.mean(energy) ** 2)
                outlier[place] = float(energy.argmax())
        return {"activation_kurtosis": kurtosis, "activation_outlier_channel": outlier}
