"""How far batch norms' running statistics are from the batches of the training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnprobe.observe.instruments.instrument import Instrument, Reading, Surroundings
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep


class BatchNorms(Instrument):
    """Hands on what was measured with the outputs of batch norms.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._axes = around.axes

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return values of a channel and the gap; over micro-steps the last one counts, which has seen the most."""
        known = [(self._axes.layer(tap), tap.statistics) for tap in taps if tap.statistics is not None]
        if not known:
            return []
        places = [place for place, _ in known]
        values = ("batch_norm_values", Reading([float(statistics.values) for _, statistics in known], places))
        if all(isinstance(statistics.gap, np.ndarray) for _, statistics in known):
            return [values, ("batch_norm_gap", Reading(np.concatenate([statistics.gap for _, statistics in known]), places))]
        return [values, *(("batch_norm_gap", Reading(statistics.gap, [place])) for place, statistics in known)]
