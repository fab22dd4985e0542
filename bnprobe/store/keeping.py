"""The rule of ``record --keep N``: which steps of a long run keep their detail.

1. The last N steps keep all.
2. Of older steps one in every block of 2, 4, 8, ... keeps its detail: of steps between N and 2 N ago one in 2, between 2 N and 4 N ago one
   in 4, and so on: the first of its block that was measured, or the first. Blocks begin at multiples of their size, so that what is
   the first of a block is the first of the smaller ones in it, too, and was kept as long as those counted.
3. Always kept are the first steps, which are a run's baseline, those next to the first and the last events, and next to the first loss or
   signal that was not finite.

So N + N/2 log2(steps / N) rows are left, and some around events. The loss of every step is kept in any case (``passed_loss``).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: Steps at the beginning, steps on both sides of an event, and events at the beginning and at the end around which all is kept.
FIRST_STEPS, NEIGHBOURS, EVENTS = 10, 5, 50
#: Steps between snapshots in the long run; of them as many are kept whole as there would be in so many steps.
SNAPSHOT_STEPS, WHOLE_SNAPSHOTS = 1000, 16


def kept(steps: NDArray[np.int64], measured: NDArray[np.bool_], whole: int, unit: int = 1, now: int | None = None) -> NDArray[np.bool_]:
    """Say of each step whether the rule by age keeps it.

    Args:
        steps: (S,) in any order, each once.
        measured: (S,) whether its layers were measured.
        whole: N: how many of the last steps keep all.
        unit: blocks are of 2, 4, 8, ... times so many steps.
        now: the last step; the largest by default.

    Returns:
        (S,) that.
    """
    result = np.zeros(len(steps), dtype=bool)
    if not len(steps):
        return result
    age = (int(steps.max()) if now is None else now) - steps
    octave = np.where(age < whole, 0, np.floor(np.log2(np.maximum(age, whole) / whole)).astype(np.int64) + 1)
    for number in np.unique(octave).tolist():
        own = octave == number
        result |= own & (_firsts(steps, measured, unit * 2**number) if number else True)
    return result


def _firsts(steps: NDArray[np.int64], measured: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Say of each step whether it is the first of its block that was measured, or the first where none was."""
    blocks = steps // size
    order = np.lexsort((steps, ~measured, blocks))
    _, places = np.unique(blocks[order], return_index=True)
    result = np.zeros(len(steps), dtype=bool)
    result[order[places]] = True
    return result


def near(steps: NDArray[np.int64], moments: Iterable[int]) -> NDArray[np.bool_]:
    """Say of each step whether it is next to one of some moments."""
    result = np.zeros(len(steps), dtype=bool)
    for moment in moments:
        result |= np.abs(steps - moment) <= NEIGHBOURS
    return result


def moments_of(event_steps: NDArray[np.int64], event_kinds: list[str]) -> list[int]:
    """Return the steps of the first and of the last events; those that only tell how often layers are measured are none."""
    steps = [int(step) for step, kind in zip(event_steps, event_kinds, strict=True) if kind != "schedule"]
    return sorted({*steps[:EVENTS], *steps[-EVENTS:]})
