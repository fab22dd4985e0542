"""A recording as its file stood while the training went on: what ``bnprobe watch`` and ``--follow`` read after so many steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnprobe.store.reader import Run
from bnprobe.store.schema import STEP_OF, VARIABLES


def prefix(run: Run, rows: int) -> Run:
    """The run as it was after its first steps, still going on.

    Layers, parameters and gaps stay those of the whole run: a training meets them in its first step, with few exceptions.

    Args:
        run: a recording of one process, begun once.
        rows: so many of its recorded steps, at least one.
    """
    last = int(run["step"][rows - 1])
    kept = {axis: np.flatnonzero(run[name] <= last) for axis, name in STEP_OF.items() if axis in run.lengths}
    variables = {name: array[kept[axis]] if (axis := VARIABLES[name].dims[0]) in kept else array for name, array in run.variables.items()}
    return replace(
        run,
        attributes={**run.attributes, "status": "running"},
        events=[event for event in run.events if event.step <= last],
        variables=variables,
        lengths={**run.lengths, **{axis: len(places) for axis, places in kept.items()}},
    )


def bursts(rows: int) -> list[int]:
    """Numbers of steps after which a run of so many is looked at: each of the first ten, then ever fewer.

    >>> bursts(34)
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]
    """
    grid = [*range(1, 10), *range(10, 30, 2), *range(30, 100, 5), *range(100, rows + 1, 10)]
    return [count for count in grid if count <= rows]
