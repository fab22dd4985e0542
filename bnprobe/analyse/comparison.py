"""From trials of techniques to a table: the best rate of each, what it reaches there over all seeds, and what it costs.

The best rate is the one of the lowest training loss at seed 0; nothing that was held out has a say in it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bnprobe.analyse.limits import Interval, Verdict, bracket, verdict_of
from bnprobe.store.comparison_file import NO_TECHNIQUE, WHOLE, Comparison, Trial
from bnprobe.store.limits_file import factor_of

#: Rates that are tried at full length, in steps of the grid below the fastest that trained: the first three always, those below them
#: until two in a row are worse than the best: losses of single trainings scatter.
BELOW = (0, -1, -3, -5, -7)
FIRST_RATES, WORSE_BELOW = 3, 2
#: Where the best rate is the lowest that was tried, so many below it are tried as well, each so many steps of the grid further down: a
#: limit may lie decades above what trains best.
MOST_FURTHER, FURTHER = 4, 2


@dataclass(frozen=True)
class Terms:
    """What all trials of a comparison have in common.

    Attributes:
        techniques: their names, none first.
        seeds: how many; the first is the script as it is.
        length: steps of a whole trial; WHOLE for the script's own end.
        search_length: steps of a trial that looks for the limit.
    """

    techniques: tuple[str, ...]
    seeds: int
    length: int
    search_length: int


def terms_of(attributes: Mapping[str, str | int | float]) -> Terms:
    """Return what a file says of all its trials."""
    return Terms(
        tuple(str(attributes.get("techniques", NO_TECHNIQUE)).split("\n")),
        int(attributes.get("seeds", 1)),
        int(attributes.get("steps", WHOLE)),
        int(attributes.get("search_steps", WHOLE)),
    )


def refusal(mine: Sequence[Trial]) -> Trial | None:
    """Return the trial that ends a technique: refused, or failed at the script's own rate or below, where none above has an outcome."""
    own = [one for one in mine if one.seed == 0]
    has_failed = all(one.outcome == "failed" for one in own)
    return next((one for one in mine if one.outcome == "refused" or (has_failed and one.seed == 0 and one.grid_index <= 0)), None)


def trials_to_keep(trials: Sequence[Trial]) -> list[Trial]:
    """Return those that a comparison that goes on need not make again: of errors those alone that say something of a rate.

    The cause of an error that ended a technique, or spoilt one seed, may be gone.
    """
    techniques = dict.fromkeys(one.remedy for one in trials)
    ended = {name for name in techniques if (one := refusal([t for t in trials if t.remedy == name])) and one.outcome == "failed"}
    return [one for one in trials if one.outcome != "failed" or (one.seed == 0 and one.remedy not in ended)]


def searched(terms: Terms, mine: Sequence[Trial]) -> list[Trial]:
    """Trials of the search; where whole ones are as short, those that were made below its limit do no harm to it."""
    return [one for one in mine if one.seed == 0 and one.length == terms.search_length]


def verdict(trial: Trial) -> Verdict:
    """Return what a trial says of its rate; an error may be how a script meets a loss that is not finite.

    One of which nobody can tell whether it learns says as little as one that is stuck.
    """
    return "stuck" if trial.outcome == "unclear" else verdict_of(trial)


def limit_of(terms: Terms, mine: Sequence[Trial]) -> tuple[int | None, int | None]:
    """Return the fastest place that trained in the search, and the slowest above it that did not."""
    return bracket({one.grid_index: verdict(one) for one in searched(terms, mine)})


def rates_to_try(terms: Terms, mine: Sequence[Trial]) -> list[int]:
    """Return the places that are tried at full length at seed 0, as far as they are known by now.

    Those from the limit down, and the one at which the short trials had their lowest loss: a rate may train a little, far above those that
    train well. Where the lowest of them is the best, some below it.
    """
    low, high = limit_of(terms, mine)
    top = low if low is not None else None if high is None else high - 1
    if top is None:
        return []
    places = [top + below for below in BELOW[:FIRST_RATES]]
    made = {one.grid_index: loss_of(one) for one in whole(terms, mine) if one.seed == 0}
    while len(places) < len(BELOW) and all(place in made for place in places):
        best = min(range(len(places)), key=lambda at: (made[places[at]], at))
        if best < len(places) - WORSE_BELOW:
            break
        places.append(top + BELOW[len(places)])
    trained = [one for one in searched(terms, mine) if verdict(one) == "trains"]
    lowest = min(trained, key=lambda one: (loss_of(one), -one.grid_index), default=None)
    if lowest is not None and lowest.grid_index not in places:
        places.append(lowest.grid_index)
    for _ in range(MOST_FURTHER):
        if any(place not in made for place in places) or min(places, key=lambda place: (made[place], -place)) != min(places):
            break
        if not math.isfinite(made[min(places)]):
            break
        places.append(min(places) - FURTHER)
    return places


def whole(terms: Terms, mine: Sequence[Trial]) -> list[Trial]:
    """Return the trials at full length."""
    return [one for one in mine if one.length == terms.length]


def loss_of(trial: Trial) -> float:
    """Return the training loss at the end of a trial; infinite where there is none."""
    if trial.outcome in ("diverges", "failed", "refused") or not math.isfinite(trial.final_loss):
        return math.inf
    return trial.final_loss


def best_place(terms: Terms, mine: Sequence[Trial]) -> int | None:
    """Return the place of the lowest training loss at seed 0 among the rates at full length; None as long as one is missing.

    None where none trains, too. Of equal losses that of the higher rate is taken.
    """
    made = {one.grid_index: loss_of(one) for one in whole(terms, mine) if one.seed == 0}
    places = rates_to_try(terms, mine)
    if not places or any(place not in made for place in places):
        return None
    best = min(places, key=lambda place: (made[place], -place))
    return best if math.isfinite(made[best]) else None


# -- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A number over seeds.

    Attributes:
        values: of each seed that has one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean; NaN of none."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """Their standard deviation, with n - 1; NaN of fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Row:
    """What was found for one technique.

    Attributes:
        technique: its name.
        refusal: why it could not be tried; "" where it could.
        limit: of its rate in the search, as a factor on the script's own rates; None where nothing was found.
        factor: of its best rate; NaN where none trains, or not all were tried.
        rates: the trials at seed 0 among which it was chosen, the fastest first.
        whole: the trials at its best rate, seeds rising.
        loss: training loss at the end.
        held_out_loss: of the last evaluation.
        held_out_accuracy: of the last evaluation.
        metric: what --metric found.
        step_seconds: processor time of a step.
        step_ratio: that over the same of none, seed by seed.
        peak_bytes: memory at its largest.
        acts: what it acted on.
    """

    technique: str
    refusal: str
    limit: Interval | None
    factor: float
    rates: tuple[Trial, ...]
    whole: tuple[Trial, ...]
    loss: Spread
    held_out_loss: Spread
    held_out_accuracy: Spread
    metric: Spread
    step_seconds: Spread
    step_ratio: Spread
    peak_bytes: Spread
    acts: str

    @property
    def trained(self) -> int:
        """Seeds at which its best rate trained to the end."""
        return sum(math.isfinite(loss_of(one)) for one in self.whole)


def rows_of(comparison: Comparison) -> list[Row]:
    """Sum up a comparison, technique by technique."""
    terms = terms_of(comparison.attributes)
    costs = {one.seed: one.step_seconds for one in _at_best(terms, [t for t in comparison.trials if t.remedy == NO_TECHNIQUE])}
    return [_row(terms, technique, [one for one in comparison.trials if one.remedy == technique], costs) for technique in terms.techniques]


def _row(terms: Terms, technique: str, mine: Sequence[Trial], costs: Mapping[int, float]) -> Row:
    ended = refusal(mine)
    best, at_best = best_place(terms, mine), _at_best(terms, mine)
    trained = [one for one in at_best if math.isfinite(loss_of(one))]
    ratios = [one.step_seconds / costs[one.seed] for one in at_best if costs.get(one.seed, 0.0) > 0.0]
    wanted = rates_to_try(terms, mine)
    rates = [one for one in whole(terms, mine) if one.seed == 0 and one.grid_index in wanted]
    return Row(
        technique=technique,
        refusal=ended.reason if ended is not None else "",
        limit=_limit(terms, mine),
        factor=factor_of(best) if best is not None else math.nan,
        rates=tuple(sorted(rates, key=lambda one: -one.grid_index)),
        whole=tuple(at_best),
        loss=_spread(one.final_loss for one in trained),
        held_out_loss=_spread(one.held_out_loss for one in trained),
        held_out_accuracy=_spread(one.held_out_accuracy for one in trained),
        metric=_spread(one.metric for one in trained),
        step_seconds=_spread(one.step_seconds for one in at_best),
        step_ratio=_spread(ratios),
        peak_bytes=_spread(one.device_bytes if one.device_bytes > 0 else one.peak_bytes for one in at_best),
        acts=next((one.remedy_acts for one in mine if one.remedy_acts), ""),
    )


def _limit(terms: Terms, mine: Sequence[Trial]) -> Interval | None:
    low, high = limit_of(terms, mine)
    if low is None and high is None:
        return None
    has_trained = any(one.grid_index == low and verdict(one) == "trains" for one in searched(terms, mine))
    return Interval(factor_of(low) if low is not None and has_trained else 0.0, factor_of(high) if high is not None else math.inf)


def _at_best(terms: Terms, mine: Sequence[Trial]) -> list[Trial]:
    best = best_place(terms, mine)
    return sorted((one for one in whole(terms, mine) if one.grid_index == best and one.seed < terms.seeds), key=lambda one: one.seed)


def _spread(values: Iterable[float]) -> Spread:
    return Spread(tuple(value for value in values if math.isfinite(value)))
