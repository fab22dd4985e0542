"""Spikes of the loss: a sudden rise that stays for some steps, in a run that did not diverge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.restarts import is_after_restart
from bnprobe.analyse.stability import divergence
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

Array = NDArray[np.float64]

#: First losses, of which the median is where the training began.
_START = 5


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


@dataclass(frozen=True)
class Limits:
    """What makes a spike.

    Attributes:
        before: losses that make the level.
        length: losses whose median has to be high.
        sigmas: rise in deviations of the losses before it.
        lasting: rise, of that median, over that of the highest loss before it above their median.
        single: the same for a single loss.
        lone_sigmas: rise of a single loss in deviations, which counts as well if it brings back all that the training had gained.
        share: rise over what the loss had fallen since the start, or half its first value where it has not fallen so far.
    """

    before: int
    length: int
    sigmas: float
    lasting: float
    single: float
    lone_sigmas: float
    share: float


def spikes(run: Run, limits: Limits) -> list[Spike]:
    """Find spikes, in order of time, up to a divergence.

    A spike begins where the loss leaves the losses before it: it is above their median by some deviations, by several times as much as the
    highest of them, and by a good part of what the training had gained. The same must hold for the median of the losses from there on: what
    is back at once is a hard batch, unless it is further off still. All are differences, so that a loss may be negative. After a restart
    the losses before it are no measure: a spike begins only where there are enough since.
    """
    view = RunView.of(run)
    rows, loss = view.once(_losses)
    start = float(np.median(loss[:_START])) if loss.size else 0.0
    found: list[Spike] = []
    if loss.size <= limits.before:
        return found
    levels, widths, highest_before = view.once(_Before(limits.before))
    gained = np.maximum(start - levels, abs(start) / 2)
    thresholds = np.maximum.reduce([limits.sigmas * widths, limits.lasting * (highest_before - levels), limits.share * gained])
    is_above = (loss[limits.before :] - levels > thresholds) & (thresholds > 0)
    is_above &= ~is_after_restart(run, rows, limits.before)[limits.before :]
    place = limits.before
    for candidate in map(int, limits.before + np.flatnonzero(is_above)):
        if candidate < place:
            continue
        place, index = candidate, candidate - limits.before
        level, width, smallest = float(levels[index]), float(widths[index]), float(thresholds[index])
        noise, rise = float(highest_before[index]) - level, loss[place] - level
        is_lasting = place + limits.length <= loss.size and np.median(loss[place : place + limits.length]) - level > smallest
        is_far = rise > limits.single * noise > 0 or (rise > limits.lone_sigmas * width and rise > gained[index])
        if not (is_lasting or is_far):
            continue
        windows = np.lib.stride_tricks.sliding_window_view(loss[place:], min(limits.length, loss.size - place))
        back = np.flatnonzero(robust.median(windows) <= level + smallest / 2)
        lasted = int(back[0]) + limits.length // 2 if back.size else loss.size - place
        highest = float(loss[place : place + max(lasted, 1)].max())
        deviations = (highest - level) / width if width > 0 else float("inf")
        found.append(Spike(int(rows[place]), int(view.step[rows[place]]), highest, level, deviations, max(lasted, 1), bool(back.size)))
        place += max(lasted, 1) + limits.before
    return found


def hard_batches_before(run: Run, spike: Spike, share: float, before: int) -> int:
    """Count the single losses before a spike that rose as far above their level and were back at once: of hard batches that come again.

    Args:
        run: a recording.
        spike: one of it.
        share: how far they rose at least, as a share of the rise of the spike.
        before: losses that make the level.
    """
    view = RunView.of(run)
    rows, loss = view.once(_losses)
    if loss.size <= before:
        return 0
    rise = loss[before:] - view.once(_Before(before))[0]
    is_high = rise >= share * (spike.loss - spike.level)
    is_alone = is_high & ~np.concatenate([[False], is_high[:-1]]) & ~np.concatenate([is_high[1:], [False]])
    return int(is_alone[rows[before:] < spike.row].sum())


def _losses(view: RunView) -> tuple[NDArray[np.int64], Array]:
    """Rows with a finite loss up to a divergence, and these losses."""
    end = view.once(divergence)
    rows = np.flatnonzero(np.isfinite(view.loss[: end.row if end is not None else None]))
    return rows, view.loss[rows].astype(float)


@dataclass(frozen=True)
class _Before:
    """Median, deviation and highest of the losses before each place, the first so many places left out: one for all limits."""

    count: int

    def __call__(self, view: RunView) -> tuple[Array, Array, Array]:
        recent = np.lib.stride_tricks.sliding_window_view(view.once(_losses)[1], self.count)[:-1]
        return robust.median(recent, axis=1), robust.spread(recent, axis=1), recent.max(axis=1)
