"""When a training has diverged: the one definition, for the recorder while it runs and for readers of what it has stored.

A training diverged when its loss is not finite, or has risen above 1000 times its scale. The ratio is that of the relative losses of
Bjorck et al. 2018 (arXiv 1806.02375, Figure 3). The scale says how large a loss of this training is:

    a loss that has never been negative      its first value
    any other                                the median size of all values so far, and at least the size of the first

A squared error or a cross-entropy has a natural zero, and so "times the first value" means something. A log-likelihood, a critic's
difference or a policy loss has none: such a loss may begin next to zero by accident, and a ratio to that says nothing. A first value of
zero, up to the rounding of terms of order one, is such an accident, too. Only a rise counts: a loss without a lower bound may fall as
far as it likes.

A step whose update a gradient scaler skipped changes no weight, and is passed over. That is how mixed precision finds its scale.

This file knows neither torch nor numpy: the recorder, the readers and the command line all import it.
"""

from __future__ import annotations

import math
import statistics
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from bnprobe.numerals import number

#: A loss of so many times its scale has diverged.
DIVERGENCE_RATIO = 1000.0
#: A first loss below the rounding of float32, 2^-23, is a sum of terms that cancelled.
ZERO = 2.0**-23
#: Losses from which the median says something.
ENOUGH_LOSSES = 10
#: Most values that a median is taken of; a longer training is sampled evenly.
MOST_VALUES = 256
#: A rise is a spike and no divergence where as many losses had been seen before it, and as many after it ...
SPIKE_AFTER, SPIKE_FOR = 20, 3
#: ... and the last quarter of the losses after it lies below this share of the first one. A network whose weights were thrown away does
#: not learn on; one at chance level is back at about its first loss.
SPIKE_SHARE, LATE_SHARE = 0.75, 0.25


@dataclass(frozen=True)
class Diverged:
    """That a training diverged.

    Attributes:
        step: at which step, or place in the series.
        loss: the loss there.
        scale: the scale it was compared with; NaN where there was none.
        is_first_value: whether that is the first value of the loss.
    """

    step: int
    loss: float
    scale: float
    is_first_value: bool

    @property
    def is_finite(self) -> bool:
        """Whether it diverged by a rise."""
        return math.isfinite(self.loss)

    def __str__(self) -> str:
        """Return the reason, as a clause.

        >>> str(Diverged(7, 5e3, 2.0, is_first_value=True))
        'the loss is 5000, 2500 times its first value'
        """
        if not self.is_finite:
            return f"the loss is {self.loss}"
        return f"the loss is {number(self.loss)}, {number(self.loss / self.scale)} times {self.scale_name}"

    @property
    def scale_name(self) -> str:
        """What the scale is, in words."""
        return "its first value" if self.is_first_value else "its usual size"


class Divergence:
    """Told one loss after another, says whether the training has diverged.

    Attributes:
        scale: what the next loss is compared with; NaN as long as there is nothing to compare with.
        is_first_value: whether that is the first value of the loss.

    >>> watched = Divergence()
    >>> [watched.take(step, loss) is not None for step, loss in enumerate([2.0, 1.5, 1999.0, 2001.0])]
    [False, False, False, True]
    """

    def __init__(self) -> None:
        self.scale = math.nan
        self.is_first_value = True
        self._first = math.nan
        self._limit = math.inf
        self._sizes = _Sample()

    def take(self, step: int, loss: float, skipped: bool = False) -> Diverged | None:
        """Take note of a loss.

        Args:
            step: its step.
            loss: the loss, in the script's own unit.
            skipped: whether a gradient scaler skipped the update.

        Returns:
            What was wrong with this loss; None if nothing was.
        """
        if skipped:
            return None
        if not -math.inf < loss <= self._limit or loss == math.inf:
            return Diverged(step, loss, self.scale, self.is_first_value)
        size = -loss if loss < 0.0 else loss
        is_new = self._sizes.add(size)
        if self.is_first_value and (loss < 0.0 or self.scale != self.scale):
            self._begin(loss)
        if is_new and not self.is_first_value:
            self._follow()
        return None

    def _begin(self, loss: float) -> None:
        """Take the first loss, or the first negative one."""
        if self._first != self._first:
            self._first = abs(loss)
        if loss >= ZERO:
            self.scale, self._limit = loss, DIVERGENCE_RATIO * loss
        else:
            self.is_first_value, self.scale, self._limit = False, math.nan, math.inf
            self._follow()

    def _follow(self) -> None:
        """Follow the usual size of a loss that has no natural zero."""
        if self._sizes.taken >= ENOUGH_LOSSES:
            self.scale = max(self._first, self._sizes.median())
            self._limit = DIVERGENCE_RATIO * self.scale if self.scale else math.inf


def first_divergence(losses: Sequence[float], skipped: Sequence[bool] | None = None) -> Diverged | None:
    """Find where a whole training diverged, with the benefit of hindsight.

    What is known afterwards makes two differences. A rise that the training came back from, to well below its first loss, was a spike. And
    skipped steps that no healthy loss ever follows were not the search of a gradient scaler for its scale.

    Args:
        losses: every loss that was seen, in order, as python numbers.
        skipped: whether a gradient scaler skipped the update, for each.

    Returns:
        The first divergence, with the index as its step; None if there is none.

    >>> first_divergence([2.0, 1.0, float("nan")]).step
    2
    """
    if not len(losses) or (not (skipped is not None and skipped[0]) and _is_plainly_healthy(losses)):
        return None
    watched = Divergence()
    rise = broken = skipped_so_far = None
    before, after = 0, list[float]()  # losses before the first rise, and those since the last
    for index, (loss, was_skipped) in enumerate(zip(losses, repeat(False) if skipped is None else skipped, strict=False)):
        diverged = watched.take(index, loss, was_skipped)
        if not math.isfinite(loss):
            if diverged is not None:
                broken = diverged
                break
            skipped_so_far = skipped_so_far or Diverged(index, loss, watched.scale, watched.is_first_value)
        elif diverged is not None:
            rise, after = rise or diverged, []
        else:
            skipped_so_far = None
            if rise is None:
                before += 1
            else:
                after.append(loss)
    if rise is not None and before >= SPIKE_AFTER and _came_back(after, rise):
        rise = None
    return min((one for one in (rise, broken, skipped_so_far) if one is not None), key=lambda one: one.step, default=None)


def _is_plainly_healthy(losses: Sequence[float]) -> bool:
    """Whether a few passes in C show that nothing is wrong: most trainings are healthy, and some have a million steps."""
    return losses[0] >= ZERO and math.isfinite(sum(losses)) and min(losses) >= 0.0 and max(losses) <= DIVERGENCE_RATIO * losses[0]


def _came_back(after: list[float], rise: Diverged) -> bool:
    """Whether the losses after a rise ended below it as no training does that was destroyed."""
    if len(after) < SPIKE_FOR:
        return False
    late = statistics.median(after[-max(1, int(len(after) * LATE_SHARE)) :])
    return late < (SPIKE_SHARE if rise.is_first_value else 1.0) * rise.scale


class _Sample:
    """An evenly spaced sample of a series of unknown length, for its median, in bounded memory."""

    def __init__(self) -> None:
        self.taken = 0
        self._stride = 1
        self._seen = 0
        self._in_time: list[float] = []
        self._sorted: list[float] = []

    def add(self, value: float) -> bool:
        """Take the next value; return whether it is one of the sample."""
        self._seen += 1
        if (self._seen - 1) % self._stride:
            return False
        self._in_time.append(value)
        insort(self._sorted, value)
        self.taken += 1
        if len(self._in_time) > MOST_VALUES:
            self._stride *= 2
            self._in_time = self._in_time[::2]
            self._sorted = sorted(self._in_time)
        return True

    def median(self) -> float:
        """The lower median."""
        return self._sorted[(len(self._sorted) - 1) // 2]
