"""How far along a line the loss may be followed: two limits, bracketed and bisected with few evaluations.

Along a step d from weights theta, with r(s) = L(theta + s d) / L(theta):

    critical      smallest s > 0 with r(s) > 1                        Kalra 2026, arXiv 2601.16979, "critical sharpness"
    divergence    smallest s > 0 with r(s) > 10^3, or not finite      Bjorck et al. 2018, arXiv 1806.02375, Fig 3

The search walks outwards from s = 1, the step itself, in strides that grow (2, 4, 8, ...), until each limit lies between two evaluated
points, and halves these brackets on a logarithmic scale. What it gives are intervals: the loss is known at the points, not between them.
A loss that is not monotonic may cross a limit more than once; the interval is then the first crossing that the points show.

For a loss that is zero or negative the ratio is r(s) = 1 + (L(theta + s d) - L(theta)) / |L(theta)|, the same number where L > 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bnprobe.divergence import DIVERGENCE_RATIO

#: Forwards that one search may take, the one at s = 0 included.
MOST_FORWARDS = 10
#: The search looks between these multiples of the step.
SMALLEST, LARGEST = 2.0**-15, 2.0**15
#: Brackets whose ends are this close are not bisected further.
FINEST = 2.0**0.25

Interval = tuple[float, float]


@dataclass(frozen=True)
class LineProbe:
    """What a search along a line found.

    Attributes:
        loss: L(theta).
        points: (s, r(s)) in order of s, without s = 0; r is infinite where the loss is not finite.
        critical: the interval [low, high] that holds the smallest s > 0 with r(s) > 1. high is infinite if none was found up to low;
            low is 0 if the loss rises at the smallest s that was evaluated, high.
        divergence: the same for r(s) > 10^3 or a loss that is not finite.
        forwards: evaluations of the loss, the one at s = 0 included.
    """

    loss: float
    points: tuple[tuple[float, float], ...]
    critical: Interval
    divergence: Interval
    forwards: int


def search_line(evaluate: Callable[[float], float], loss: float, forwards: int = MOST_FORWARDS) -> LineProbe:
    """Search one line.

    Args:
        evaluate: s -> L(theta + s d), s > 0.
        loss: L(theta), finite and not zero.
        forwards: evaluations that may be spent, one of which was L(theta).

    Returns:
        Intervals for the critical and the diverging s, with every evaluation.

    Raises:
        ValueError: L(theta) is zero or not finite, so that there is no ratio to it.

    >>> probe = search_line(lambda s: (1.0 - 0.3 * s) ** 2, 1.0)  # r = 1 at s = 2 / 0.3 = 6.67
    >>> probe.critical[0] <= 2 / 0.3 <= probe.critical[1] <= 2 * probe.critical[0]
    True
    """
    if loss == 0.0 or not math.isfinite(loss):
        raise ValueError(f"the loss at s = 0 is {loss}; expected a finite number other than 0")
    search = _Search()
    spent = 1
    while spent < forwards and (s := search.next()) is not None:
        search.add(s, ratio_of(evaluate(s), loss))
        spent += 1
    return LineProbe(loss, tuple(sorted(search.points.items())), search.first(1.0), search.first(DIVERGENCE_RATIO), spent)


def ratio_of(value: float, loss: float) -> float:
    """Return r = 1 + (value - loss) / |loss|, infinite where the value is not finite."""
    return 1.0 + (value - loss) / abs(loss) if math.isfinite(value) else math.inf


class _Search:
    """The points so far, and where to look next."""

    def __init__(self) -> None:
        self.points: dict[float, float] = {}

    def add(self, s: float, ratio: float) -> None:
        self.points[s] = ratio

    def first(self, limit: float) -> Interval:
        """Return the interval in which r first exceeds a limit."""
        high = min((s for s, ratio in self.points.items() if ratio > limit), default=math.inf)
        return max((s for s in self.points if s < high), default=0.0), high

    def next(self) -> float | None:
        """Return the next s; None when nothing is left to learn."""
        if not self.points:
            return 1.0
        critical, divergence = self.first(1.0), self.first(DIVERGENCE_RATIO)
        for low, high in (critical, divergence):
            if low == 0.0 and high > SMALLEST:
                return max(SMALLEST, high / self._stride())
            if high == math.inf and low < LARGEST:
                return min(LARGEST, low * self._stride())
        for width in (2.0, FINEST):
            for low, high in (critical, divergence):
                if low > 0.0 and high < math.inf and high > width * low:
                    return math.sqrt(low * high)
        return None

    def _stride(self) -> float:
        """Doubling, then faster: 2, 4, 8, ... so that few evaluations cover many orders of magnitude."""
        return 2.0 ** len(self.points)
