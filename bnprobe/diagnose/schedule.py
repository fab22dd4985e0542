"""A learning rate that is too low because of its schedule: it ended long before the training, or begins anew all the time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.stability import MOVED_SHARE
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number, percent

_SOURCE = "the learning rate of every step"


def schedule_keeps_low(run: RunAnalysis) -> Finding | None:
    """A schedule that takes the rate down for good long before the end, or a warm-up that begins anew again and again.

    A loss that rose was ruined while the rate was high, and is no case of it; nor is one that came down by decades.
    """
    rates = run.recorded.learning_rate
    if run.is_at_chance or run.has_risen or run.has_fitted or run.course is None or not np.isfinite(rates).any():
        return None
    rate = np.fmax.reduce(rates, axis=1, initial=0.0)
    return _ended(run, rate) or _begins_anew(run, rate)


def _ended(run: RunAnalysis, rate: NDArray[np.float64]) -> Finding | None:
    """The rate fell by decades early in the run, and the loss has stood since; by more decades still where it had come down before.

    A loss that stood already while the rate was high has come to where it can: a schedule that watches it lowers the rate for that.
    """
    course = run.course
    if course is None:
        return None
    stands = not course.is_falling and course.third - course.late < MOVED_SHARE * abs(course.third)
    could_fall = stands and course.late > thresholds.STANDING_SHARE * course.start
    below, within = thresholds.SPENT_RATE, thresholds.SPENT_WITHIN
    if not (run.is_stuck or could_fall):
        below, within = thresholds.SPENT_OUTRIGHT_RATE, thresholds.SPENT_OUTRIGHT_WITHIN
    peak, high = float(rate.max()), np.flatnonzero(rate >= below * rate.max())
    spent = int(high[-1]) + 1
    if not (stands or run.is_stuck) or not peak > 0 or spent == len(rate):
        return None
    if run.elapsed[spent] >= within * run.steps_spanned or (not run.is_stuck and _stood_before(run, rate)):
        return None
    step, late = run.step(spent), float(rate[-1])
    return Finding(
        id="learning-rate-too-low",
        severity="error" if run.is_stuck else "warning",
        confidence=0.8,
        layers=(),
        step=step,
        evidence=(
            Evidence("learning rate against its peak", float(rate[spent] / peak), below, "", step),
            Evidence("share of the run before that", float(run.elapsed[spent] / run.steps_spanned), within),
        ),
        cause=f"The schedule took the learning rate from {number(peak)} to {number(late)}: from step {step} on it is below "
        f"{percent(below)} of its peak, and nothing moves any more; {loss_summary(run)}.",
        fix="Step the schedule as often as it is meant to be, once an epoch or once a batch, and give it the length of the training; a "
        "factor of `LambdaLR` multiplies the first rate, not the last.",
        source=_SOURCE,
    )


def _stood_before(run: RunAnalysis, rate: NDArray[np.float64]) -> bool:
    """Whether the loss had come to its last level in the second half of the steps up to the last at which the rate was high."""
    course, high = run.course, np.flatnonzero(rate >= rate.max() / 2)
    before = run.recorded.loss[int(high[-1]) // 2 : int(high[-1]) + 1]
    before = before[np.isfinite(before)]
    if course is None or before.size < thresholds.CALM_STEPS:
        return False
    chance = thresholds.BEYOND_NOISE * course.noise / np.sqrt(before.size)
    return bool(np.median(before) - course.late < max(MOVED_SHARE * abs(course.late), chance))


def _begins_anew(run: RunAnalysis, rate: NDArray[np.float64]) -> Finding | None:
    """The rate rises evenly, falls back to where it rose from, and so on: a warm-up that counts the steps of an epoch.

    Warm restarts do the opposite: they leap up and come down; and cycles take as long down as up. Where most steps have the rate that it
    rises to, each task of several has a warm-up of its own.
    """
    falls = np.flatnonzero(rate[1:] < thresholds.FELL_BACK * rate[:-1]) + 1
    rises = [(start, end) for start, end in pairwise([0, *falls.tolist()]) if _rises(rate[start:end])]
    if len(rises) < thresholds.WARM_UPS:
        return None
    step, peak, lengths = run.step(int(falls[0])), max(float(rate[end - 1]) for _, end in rises), [end - start for start, end in rises]
    return Finding(
        id="learning-rate-too-low",
        severity="error" if run.is_stuck else "warning",
        confidence=0.8,
        layers=(),
        step=step,
        evidence=(
            Evidence("warm-ups that began anew", float(len(rises)), float(thresholds.WARM_UPS)),
            Evidence("learning rate that they came to, at most", peak, None, "", run.step(int(rises[-1][1] - 1))),
            Evidence("learning rate after the first of them", float(rate[falls[0]]), None, "", step),
        ),
        cause=f"The warm-up begins anew every {int(np.median(lengths))} steps, {len(rises)} times: the learning rate rises to "
        f"{number(peak)} at most and falls back to {number(float(rate[falls[0]]))}, first at step {step}; {loss_summary(run)}.",
        fix="Count the warm-up in steps of the training, not of the epoch, and make optimizer and schedule once, before the first epoch.",
        source=_SOURCE,
    )


def _rises(rate: NDArray[np.float64]) -> bool:
    """Whether a stretch of rates goes nowhere but up, by several times and in more than one leap."""
    changes = np.diff(rate)
    return bool(
        rate.size >= thresholds.CALM_LOSSES
        and (changes >= 0).all()
        and rate[-1] * thresholds.FELL_BACK > rate[0]
        and changes.max() < (rate[-1] - rate[0]) / 2
        and (rate == rate[-1]).mean() < 0.5
    )
