"""From trials at scaled learning rates to limits: an interval for each remedy and seed, and the factor that a remedy buys.

A limit is never one number: trials show a rate that trains and a faster one that does not, and the limit lies between them, for this
script, this seed and this number of steps.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bnprobe.store.limits_file import NO_REMEDY, Prediction, Trial, factor_of

#: In the name of an estimate, between what it is and the remedy that the probed update was projected for.
PROJECTED = " with "
#: The estimate that is one number for a whole recording.
TOGETHER = "all line probes, training stops"
Verdict = Literal["trains", "fails", "slow", "stuck"]


@dataclass(frozen=True)
class Interval:
    """Where a limit lies.

    Attributes:
        trains_at: the fastest that trained; 0 where none did.
        fails_at: the slowest above it that did not; infinite where none failed.
    """

    trains_at: float
    fails_at: float

    def scaled(self, unit: float) -> Interval:
        """Return the same in another unit."""
        return Interval(self.trains_at * unit, self.fails_at * unit)

    @property
    def is_closed(self) -> bool:
        """Whether a rate that trains and one that fails were both found."""
        return self.trains_at > 0 and math.isfinite(self.fails_at)


@dataclass(frozen=True)
class Search:
    """What the trials of one remedy and seed have found.

    Attributes:
        remedy: specifications joined by '+', or NONE.
        seed: 0 is the script as it is.
        interval: where the limit lies, as a factor on the script's own rates; None where a trial failed for another reason.
        fails_by: how the slowest that failed did: stuck or diverges; "" where none failed.
        trials: how many were made.
        odd_ones: trials that do not fit a single limit: a slower one that failed.
        failure: why there is no outcome, or "".
    """

    remedy: str
    seed: int
    interval: Interval | None
    fails_by: str
    trials: int
    odd_ones: int
    failure: str = ""


def verdict_of(trial: Trial) -> Verdict:
    """Return what a trial that has an outcome says about its rate.

    A stuck training says less than others: a rate may be too small for the number of steps, or so large that the network collapsed.
    """
    if trial.outcome == "stuck" and trial.stuck_by != "risen":
        return "slow" if trial.stuck_by == "slow" else "stuck"
    return "trains" if trial.outcome == "trains" else "fails"


def tried(trials: Sequence[Trial], remedy: str, seed: int) -> dict[int, Trial]:
    """Return the trials of one search that have an outcome, by their place on the grid."""
    return {one.grid_index: one for one in trials if (one.remedy, one.seed) == (remedy, seed) and one.outcome != "failed"}


def bracket(tried: Mapping[int, Verdict]) -> tuple[int | None, int | None]:
    """Return the fastest place that trained and the slowest above it that did not.

    As long as none trained: the fastest that was slow or stuck, and the slowest above it that failed by going too fast.

    >>> bracket({0: "trains", 4: "stuck", 2: "trains"}), bracket({0: "fails"}), bracket({-4: "stuck", 0: "slow", 4: "fails"})
    ((2, 4), (None, 0), (0, 4))
    """
    trained = [grid_index for grid_index, verdict in tried.items() if verdict == "trains"]
    failed = [grid_index for grid_index, verdict in tried.items() if verdict == "fails"]
    if trained:
        low = max(trained)
        return low, min((grid_index for grid_index in tried if grid_index > low), default=None)
    high = min(failed, default=None)
    return max((grid_index for grid_index in tried if high is None or grid_index < high), default=None), high


def search_result(trials: Sequence[Trial], remedy: str, seed: int) -> Search:
    """Sum up the trials of one remedy and seed."""
    found = tried(trials, remedy, seed)
    failed = [one for one in trials if (one.remedy, one.seed, one.outcome) == (remedy, seed, "failed")]
    verdicts = {grid_index: verdict_of(one) for grid_index, one in found.items()}
    low, high = bracket(verdicts)
    trains = [grid_index for grid_index, verdict in verdicts.items() if verdict == "trains"]
    odd = sum(verdict == "fails" and grid_index < max(trains, default=grid_index) for grid_index, verdict in verdicts.items())
    trains_at = factor_of(low) if low is not None and verdicts[low] == "trains" else 0.0
    return Search(
        remedy=remedy,
        seed=seed,
        interval=Interval(trains_at, factor_of(high) if high is not None else math.inf) if found else None,
        fails_by=found[high].outcome if high is not None else "",
        trials=len(found) + len(failed),
        odd_ones=odd,
        failure=failed[-1].reason if failed else "",
    )


def searches(trials: Sequence[Trial]) -> list[Search]:
    """Sum up all trials, remedy by remedy, no remedy first and the others in the order in which they were first tried, seeds rising."""
    remedies = sorted(dict.fromkeys(one.remedy for one in trials), key=lambda remedy: remedy != NO_REMEDY)
    seeds = {remedy: sorted({one.seed for one in trials if one.remedy == remedy}) for remedy in remedies}
    return [search_result(trials, remedy, seed) for remedy in remedies for seed in seeds[remedy]]


def hull(intervals: Sequence[Interval]) -> Interval | None:
    """Return the interval over all seeds: at its lower end every seed trains, at its upper end every seed fails.

    >>> hull([Interval(1.0, 1.5), Interval(1.5, 2.2)])
    Interval(trains_at=1.0, fails_at=2.2)
    """
    if not intervals:
        return None
    return Interval(min(one.trains_at for one in intervals), max(one.fails_at for one in intervals))


def gain(limit: Interval, baseline: Interval) -> Interval:
    """Return by what factor a limit lies above another, as an interval: its lower end is sure, below its upper end all is possible.

    >>> gain(Interval(10.0, 15.0), Interval(1.0, 1.5)).fails_at
    15.0
    """
    sure = limit.trains_at / baseline.fails_at
    possible = limit.fails_at / baseline.trains_at if baseline.trains_at else math.inf
    return Interval(sure, possible)


def gains(found: Sequence[Search], remedy: str) -> Interval | None:
    """Return what a remedy buys over none, over all seeds that both have; None where they share none."""
    baseline = {one.seed: one.interval for one in found if one.remedy == NO_REMEDY and one.interval is not None}
    mine = {one.seed: one.interval for one in found if one.remedy == remedy and one.interval is not None}
    return hull([gain(mine[seed], baseline[seed]) for seed in sorted(mine.keys() & baseline.keys())])


@dataclass(frozen=True)
class Estimate:
    """What one way of predicting says over all steps at which it was asked, beside what the trials found.

    Attributes:
        remedy: remedies of the recording.
        name: which estimate.
        lowest: the strictest, in rates.
        step: the step of the strictest.
        middle: the median over the steps.
        steps: at how many steps it was asked.
        ratio: the strictest over the limit that trials found, as an interval of all that both allow; None without such a limit.
    """

    remedy: str
    name: str
    lowest: Interval
    step: int
    middle: Interval
    steps: int
    ratio: Interval | None

    @property
    def is_projected(self) -> bool:
        """Whether it speaks of the recorded update as another remedy would have projected it."""
        return PROJECTED in self.name


def estimates(predictions: Sequence[Prediction], found: Sequence[Search], own_rate: float) -> list[Estimate]:
    """Sum up predictions, estimate by estimate, and compare each with the interval of its own remedy at seed 0, which was recorded."""
    kinds = dict.fromkeys((one.remedy, one.estimate) for one in predictions)
    limits = {one.remedy: one.interval.scaled(own_rate) for one in found if one.seed == 0 and one.interval is not None}
    return [
        _estimate([one for one in predictions if (one.remedy, one.estimate) == kind], limits.get(kind[0]))
        for kind in sorted(kinds, key=lambda kind: kind[0] != NO_REMEDY)
    ]


def _estimate(predictions: Sequence[Prediction], limit: Interval | None) -> Estimate:
    strictest = min(predictions, key=lambda one: (one.high, one.low))
    lowest = Interval(strictest.low, strictest.high)
    return Estimate(
        remedy=strictest.remedy,
        name=strictest.estimate,
        lowest=lowest,
        step=strictest.step,
        middle=Interval(statistics.median(one.low for one in predictions), statistics.median(one.high for one in predictions)),
        steps=len(predictions),
        ratio=gain(lowest, limit) if limit is not None and limit.is_closed and PROJECTED not in strictest.estimate else None,
    )
