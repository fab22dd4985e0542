"""Where an optimizer takes over from another for good, in a training that goes on: without the other's memory, or at another rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnprobe.analyse.views import RunView

#: Losses before it that make the level, and losses from it on of which the highest counts.
_BEFORE, _AFTER = 20, 10
#: The first loss is where the training had come to, up to this factor; the highest after it is that many times as high and more.
_GOES_ON, _LEAPS = 2.0, 5.0


class Takeover(NamedTuple):
    """One where the loss leapt.

    Attributes:
        row: the row at which the new optimizer takes its first step.
        step: its step.
        optimizer: the new one.
        level: median of the losses before.
        first: loss at that row, before any update of the new optimizer.
        highest: highest loss of the next few.
    """

    row: int
    step: int
    optimizer: str
    level: float
    first: float
    highest: float


def takeovers_with_a_leap(run: RunView) -> list[Takeover]:
    """Find them: the loss goes on at first, so that the weights are the same ones, and leaps once the new optimizer has moved them.

    Args:
        run: a recording.
    """
    names = [group.partition("[")[0] for group in run.groups]
    stepping = np.isfinite(run.learning_rate)
    loss = run.loss.astype(float)
    found = []
    for name in dict.fromkeys(names):
        mine = np.array([other == name for other in names])
        rows, others = np.flatnonzero(stepping[:, mine].any(axis=1)), np.flatnonzero(stepping[:, ~mine].any(axis=1))
        row = int(rows[0]) if rows.size else 0
        # Whatever stepped before has stopped, and stays so while the new one begins.
        if row < _BEFORE or np.isin(np.arange(row, row + _AFTER), others).any() or row + _AFTER > loss.size:
            continue
        before, after = loss[row - _BEFORE : row], loss[row : row + _AFTER]
        if not (np.isfinite(before).all() and np.isfinite(after).all() and (before > 0).all()):
            continue
        level, highest = float(np.median(before)), float(after.max())
        goes_on = level / _GOES_ON <= after[0] <= max(level * _GOES_ON, float(before.max()))
        if goes_on and highest > _LEAPS * max(level, float(before.max())):
            found.append(Takeover(row, int(run.step[row]), name, level, float(after[0]), highest))
    return found
