"""Spikes of the loss: a sudden rise that stays for some steps, in a run that is not lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.stability import divergence
from bnprobe.store.reader import Run

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spike:
    """One spike.

    Attributes:
        row: row of the step axis at which it began.
        step: optimizer step.
        loss: the highest loss of it.
        level: median of the losses before it.
        rise: the highest loss against that level, in deviations of the losses before it.
        length: steps until the loss was back near its level; to the end of the run where it never was.
        came_back: whether it was.
    """

    row: int
    step: int
    loss: float
    level: float
    rise: float
    length: int
    came_back: bool


def spikes(run: Run, before: int, length: int, sigmas: float, times: float, single: float) -> list[Spike]:
    """Find spikes, in order of time, up to a divergence.

    A spike begins where the loss leaves the losses before it, being above their median by ``sigmas`` deviations and ``times`` as large as
    the largest of them; and where the median of the ``length`` losses from there on has left them, too. What is back at once is no spike
    but a hard batch, unless a single loss is ``single`` times the largest. Losses that are not positive have no ratio, and no spikes.

    Args:
        run: the recording.
        before: losses that make the level.
        length: losses whose median has to be high.
        sigmas: deviations above the level.
        times: ratio to the largest loss before.
        single: ratio to the largest loss before, from which a single loss makes a spike.
    """
    end = divergence(run)
    rows = np.flatnonzero(np.isfinite(run["loss"][: end.row if end is not None else None]))
    loss = run["loss"][rows].astype(float)
    found: list[Spike] = []
    place = before
    while place < loss.size:
        recent = loss[place - before : place]
        level, width = float(np.median(recent)), float(robust.spread(recent))
        limit = max(level + sigmas * width, times * float(recent.max()))
        is_lasting = place + length <= loss.size and loss[place] > limit and np.median(loss[place : place + length]) > limit
        if recent.min() <= 0 or not (is_lasting or loss[place] > single * float(recent.max())):
            place += 1
            continue
        calm = max(level + sigmas / 2 * width, (1 + times) / 2 * level)
        windows = np.lib.stride_tricks.sliding_window_view(loss[place:], min(length, loss.size - place))
        back = np.flatnonzero(robust.median(windows) <= calm)
        lasted = int(back[0]) + length // 2 if back.size else loss.size - place
        highest = float(loss[place : place + lasted].max())
        rise = (highest - level) / width if width > 0 else float("inf")
        found.append(Spike(int(rows[place]), int(run["step"][rows[place]]), highest, level, rise, lasted, bool(back.size)))
        place += lasted + before
    return found
