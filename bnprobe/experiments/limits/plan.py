"""Which rate to try next: out from the script's own rate by factors until one trains and a faster one does not, then halve the gap.

Rates lie on a grid of four steps to a factor of five, so a bracket of one step is an interval of ratio 1.495. Everything here is
whole numbers: a place on the grid and what became of the trial there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bnprobe.analyse.limits import Verdict, bracket

#: Strides of the search for a bracket, in steps of the grid: factors of 5, 5, 25, 25, ... from the script's own rate.
STRIDES = (4, 4, 8)
#: The same from the limit of another seed: it will be near.
NEAR_STRIDES = (1, 2, 4, 8)
MOST_TRIALS = 10
#: Steps of the grid above the slowest that trains beyond which no limit is looked for, a factor of 390625: where the loss does not say
#: whether anything is learned, as of a critic, every rate trains.
FURTHEST = 32


@dataclass(frozen=True)
class Range:
    """The places that may be tried, both ends included; None is no limit."""

    low: int | None = None
    high: int | None = None

    def clamp(self, grid_index: int) -> int:
        """Return the nearest place that may be tried."""
        grid_index = grid_index if self.low is None else max(grid_index, self.low)
        return grid_index if self.high is None else min(grid_index, self.high)


def next_index(
    tried: Mapping[int, Verdict],
    start: int = 0,
    strides: tuple[int, ...] = STRIDES,
    allowed: Range | None = None,
    most_trials: int = MOST_TRIALS,
) -> int | None:
    """Return the place to try next, or None when the search is over.

    A training whose weights hardly moved ("slow") is no failure of too large a rate: the search goes up from it. Of one that is stuck for
    another reason it is not known whether its rate is too small or too large: the search goes both ways.

    Args:
        tried: the outcome at each place so far.
        start: where to begin.
        strides: steps of the search for a bracket, the last one repeated.
        allowed: places that may be tried.
        most_trials: trials that may be made.

    >>> next_index({}), next_index({0: "trains"}), next_index({0: "trains", 4: "fails"}), next_index({0: "trains", 1: "fails"})
    (0, 4, 2, None)
    >>> next_index({0: "stuck"}), next_index({0: "stuck", -4: "stuck"}), next_index({0: "slow"})
    (-4, 4, 4)
    >>> next_index({0: "trains", 8: "trains", 30: "trains"}), next_index({0: "trains", 32: "trains"})
    (32, None)
    """
    allowed = allowed or Range()
    if len(tried) >= most_trials:
        return None
    if not tried:
        return allowed.clamp(start)
    # Where it is stuck on both sides, what trains may be a narrow window: no wide strides.
    is_sure_of_the_way = "stuck" not in tried.values() or "trains" in tried.values()
    stride = strides[min(len(tried) - 1, len(strides) - 1)] if is_sure_of_the_way else STRIDES[0]
    for grid_index in _candidates(tried, start, stride):
        if (place := allowed.clamp(grid_index)) not in tried:
            return place
    return None


def _candidates(tried: Mapping[int, Verdict], start: int, stride: int) -> Iterator[int]:
    """Places worth a trial, the best first; one that was tried already, or lies beyond the edge, gives way to the next."""
    low, high = bracket(tried)
    if low is not None and high is not None and high - low > 1:
        yield (low + high) // 2
        return
    has_trained = "trains" in tried.values()
    furthest = furthest_index(tried)
    may_lie_above = low is not None and high is None and (furthest is None or low < furthest)
    may_lie_below = not has_trained and tried[min(tried)] != "slow"
    downs = sum(grid_index < start for grid_index in tried)
    above = max(tried) + stride if furthest is None else min(max(tried) + stride, furthest)
    ways = [(may_lie_above, above), (may_lie_below, min(tried) - stride)]
    if downs <= sum(grid_index > start for grid_index in tried):
        ways.reverse()
    yield from (grid_index for is_open, grid_index in ways if is_open)


def furthest_index(tried: Mapping[int, Verdict]) -> int | None:
    """Return the place beyond which no limit is looked for; None as long as nothing has trained."""
    slowest = min((grid_index for grid_index, verdict in tried.items() if verdict == "trains"), default=None)
    return None if slowest is None else slowest + FURTHEST
