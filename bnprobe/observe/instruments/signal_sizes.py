"""How many values are behind the moments of each layer: the weight of a rank where several are merged."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from bnprobe.measure.moments import Moments
from bnprobe.observe.instruments.instrument import Instrument, Surroundings, Vector
from bnprobe.processes import is_one_of_many


class SignalSizes(Instrument):
    """Counts, where there are several ranks; elsewhere nobody asks.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        del around
        self._is_asked = is_one_of_many(os.environ)

    def from_moments_of_steps(self, layers: Mapping[int, Moments], width: int) -> Mapping[str, Vector]:
        """Return N P of each layer."""
        if not self._is_asked or not layers:
            return {}
        steps = len(next(iter(layers.values())).packed)
        values = np.full((steps, width), np.nan)
        for place, moments in layers.items():
            values[:, place] = moments.samples * moments.positions
        return {"activation_values": values}
