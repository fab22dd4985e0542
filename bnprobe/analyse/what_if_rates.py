"""Which of two rates learned more, of trainings of the same stretch: what is known of a rate without training at it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from typing import Any, Protocol

#: Two rates at which nothing trains end alike, whichever is lower, where their losses differ by less than this share.
STUCK_ALIKE = 0.002
#: Two rates that train end alike where their losses differ by less than this share of what was learned.
TRAINED_ALIKE = 0.05


class Trained(Protocol):
    """A training of the stretch."""

    @property
    def outcome(self) -> str:
        """Return trains, stuck or diverges."""

    @property
    def losses(self) -> Any:
        """Return one a step."""


def learns_less(tried: Mapping[int, Trained], place: int) -> bool:
    """Whether it is known without a trial that a slow place learns less: of two faster ones the slower did, by more than nothing."""
    pairs = itertools.combinations(sorted(each for each in tried if each > place), 2)
    return any(
        learns_faster(tried[faster], tried[slower])
        and (tried[faster].outcome == "trains" or end_of(tried[faster]) < (1 - STUCK_ALIKE) * end_of(tried[slower]))
        for slower, faster in pairs
    )


def learns_faster(one: Trained, slower: Trained) -> bool:
    """Whether a training learns more in the stretch than another at a smaller rate: rates below that one would learn less still."""
    if "diverges" in (one.outcome, slower.outcome):
        return False
    ends = end_of(one), end_of(slower)
    # Where both come to about the same loss, what counts is which came there first.
    if one.outcome == slower.outcome == "trains" and abs(ends[0] - ends[1]) <= TRAINED_ALIKE * (slower.losses[0] - min(ends)):
        return statistics.fmean(one.losses) < statistics.fmean(slower.losses)
    return ends[0] < ends[1]


def best_of(tried: Mapping[int, Trained]) -> int | None:
    """Return the place that ended at the lowest loss; None where all diverged."""
    ends = {place: end_of(trial) for place, trial in tried.items() if trial.outcome != "diverges"}
    return min(ends, key=lambda place: ends[place], default=None)


def end_of(trial: Trained) -> float:
    """Return the loss at the end, the one that a verdict tells."""
    return float(statistics.median(trial.losses[-max(1, len(trial.losses) // 4) :]))
