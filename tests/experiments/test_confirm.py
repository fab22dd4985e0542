"""Whether a trial does again what was recorded."""

from __future__ import annotations

import math

import numpy as np

from bnprobe.experiments.confirm import repeats
from bnprobe.store.confirm_file import Trial

MADE = Trial("as it is", "ran", loss=(3.0, 2.0, math.nan, 1.0, 0.5))


def test_losses_are_compared_step_by_step() -> None:
    steps, losses = np.arange(5), np.array(MADE.loss)
    assert repeats(MADE, steps, losses)
    assert repeats(MADE, steps + 7, losses)  # its first step has another number
    assert repeats(MADE, steps[[0, 3, 4]], losses[[0, 3, 4]])  # steps are missing before a later start
    assert not repeats(MADE, steps[:3], losses[[0, 3, 4]])
    assert not repeats(MADE, steps[:0], losses[:0])


def test_they_are_compared_as_far_as_both_go() -> None:
    assert repeats(MADE, np.arange(9), np.array([*MADE.loss, 9.0, 9.0, 9.0, 9.0]))
    assert not repeats(MADE, np.array([0, 8]), np.array([9.0, 3.0]))
