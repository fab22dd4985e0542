"""Where a recording consists of several starts of one training: the steps at which a series may jump without anything being wrong.

After a restart the batches are others, the optimizer may be without its momentum, and steps may be missing. What differs there from the
steps before it is the restart's doing; only what stays away is the training's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run


def first_rows(run: Run) -> NDArray[np.int64]:
    """Return the rows of the step axis with which a start began that went on from a checkpoint."""
    steps = RunView.of(run).step
    begins = np.array([one.step for one in run.resumptions], dtype=np.int64)
    rows: NDArray[np.int64] = np.unique(np.searchsorted(steps, begins))
    return rows[(rows > 0) & (rows < len(steps))]


def is_after_restart(run: Run, rows: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Say of some rows, in order, whether a start began with one of the last so many of them, or with the row itself.

    Args:
        run: the run.
        rows: (R,) rows of the step axis.
        count: how many.
    """
    result = np.zeros(len(rows), dtype=bool)
    for place in np.searchsorted(rows, first_rows(run)):
        result[place : place + count] = True
    return result


def without_joins(run: Run, steps: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a series with a missing value where steps are missing before a start, so that a line drawn through it breaks there.

    Args:
        run: the run.
        steps: (R,) steps, in order.
        values: (R,) what is drawn at them.

    Returns:
        Steps and values, with one more of each a gap.
    """
    gaps = [one.step for one in run.resumptions if one.missing]
    places = np.unique([place for place in np.searchsorted(steps, gaps) if 0 < place < len(steps)]).astype(np.int64)
    return np.insert(steps.astype(float), places, steps[places] - 0.5), np.insert(values.astype(float), places, np.nan)
