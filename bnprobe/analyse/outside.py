"""Weights that somebody other than the optimizer has changed: by a copy, a checkpoint, an average, an edit in place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnprobe.analyse.views import RunView

#: How many times as far as updates of the size of those around it could have gone, at least.
_BEYOND_UPDATES = 4.0
#: Share of the norm by which it changed, at least.
_LEAST_CHANGE = 0.1
#: Measured steps on either side whose largest update stands for those in between.
_AROUND = 3


class OutsideChange(NamedTuple):
    """Weights that changed by more than updates can have done.

    Attributes:
        row: the row before whose update the weights were found changed.
        step: its step.
        since: the step before whose update they were still as before.
        before: norm of the weights there.
        after: norm of the weights then.
        possible: the most that updates of the size of those around can have added to the norm, or taken from it.
    """

    row: int
    step: int
    since: int
    before: float
    after: float
    possible: float

    @property
    def times(self) -> float:
        """By what the norm grew."""
        return self.after / self.before


def changes_outside(run: RunView) -> list[OutsideChange]:
    """Find them, in order of time: a norm cannot change by more than the sum of the norms of the updates between.

    Those parameters count that were measured at both ends. Of steps between, whose updates were not measured, the largest of the updates
    measured around them is taken for each.

    Args:
        run: a recording.
    """
    weights, updates = run.weight_norm.astype(float), run.update_norm.astype(float)
    rows = np.flatnonzero((np.isfinite(weights) & np.isfinite(updates)).any(axis=1))
    found = []
    for place in range(1, rows.size):
        start, end = int(rows[place - 1]), int(rows[place])
        around = rows[max(0, place - 1 - _AROUND) : place + 1 + _AROUND]
        both = np.isfinite(weights[start]) & np.isfinite(weights[end])
        if not both.any():
            continue
        before, after = (float(np.linalg.norm(weights[row, both])) for row in (start, end))
        size = np.sqrt(np.nansum(updates[np.ix_(around, np.flatnonzero(both))] ** 2, axis=1)).max()
        possible = float(size) * int(run.step[end] - run.step[start])
        change = abs(after - before)
        if change > _BEYOND_UPDATES * possible and change > _LEAST_CHANGE * before > 0:
            found.append(OutsideChange(end, int(run.step[end]), int(run.step[start]), before, after, possible))
    return found
