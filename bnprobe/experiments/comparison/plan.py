"""Which trial comes next: first the limit of each technique's rate, then rates below it at full length, then more seeds at the best.

The best rate is the one of the lowest training loss at seed 0; nothing that was held out has a say in it. Rates lie on the grid of
``experiments/limits``. Everything here is decided from the trials that have ended, so that a comparison goes on wherever it was ended; and
not from the order in which they ended, so that it is the same one whoever makes its trials, and however many at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnprobe.analyse.comparison import FIRST_RATES, Terms, best_place, limit_of, rates_to_try, refusal, searched, verdict, whole
from bnprobe.experiments.limits.plan import NEAR_STRIDES, STRIDES, next_index
from bnprobe.experiments.order import Script
from bnprobe.store.comparison_file import NO_TECHNIQUE, Trial

#: Rates of a search whose trials are short.
MOST_SEARCHED = 7
#: A search is over when a rate that trains and one that fails are at most so many steps of the grid apart: rates below are tried anyway.
CLOSE = 2


@dataclass(frozen=True)
class Plan:
    """What is to be found out.

    Attributes:
        script: what is tried.
        terms: what all trials have in common.
        jobs: trials at a time.
        threads: of each.
        metric: pattern of a number that the script prints, or "".
    """

    script: Script
    terms: Terms
    jobs: int
    threads: int
    metric: str = ""


@dataclass(frozen=True)
class Assignment:
    """One trial to be made; what tells it from all others.

    Attributes:
        technique: its name.
        seed: 0 is the script as it is.
        grid_index: place on the grid of factors.
        length: optimizer steps, or WHOLE.
    """

    technique: str
    seed: int
    grid_index: int
    length: int


def key(trial: Trial) -> Assignment:
    """Return the assignment that a trial has carried out."""
    return Assignment(trial.remedy, trial.seed, trial.grid_index, trial.length)


def next_of(plan: Plan, technique: str, trials: Sequence[Trial], under_way: Sequence[Assignment]) -> Assignment | None:
    """Return the next trial of a technique; None where there is none, for good or until one under way has ended.

    Args:
        plan: what is to be found out.
        technique: which.
        trials: all that have ended.
        under_way: those that run.
    """
    mine = [one for one in trials if one.remedy == technique]
    running = [one for one in under_way if one.technique == technique]
    if refusal(mine) is not None:
        return None
    if technique != NO_TECHNIQUE and not _none_is_searched(plan.terms, trials):
        return None
    searching = _next_of_search(plan.terms, technique, trials)
    if searching is not None:
        return None if running else searching
    for seed, places in (
        (0, rates_to_try(plan.terms, mine)),
        *((seed, _seed_places(plan, mine, running)) for seed in range(1, plan.terms.seeds)),
    ):
        for place in places:
            wanted = Assignment(technique, seed, place, plan.terms.length)
            if wanted not in running and wanted not in map(key, mine):
                return wanted
    return None


def _next_of_search(terms: Terms, technique: str, trials: Sequence[Trial]) -> Assignment | None:
    """The next rate of a search: of none from the script's own rate, of a technique from the limit of none: it will be near."""
    mine = [one for one in trials if one.remedy == technique]
    verdicts = {one.grid_index: verdict(one) for one in searched(terms, mine)}
    low, high = limit_of(terms, mine)
    if low is not None and high is not None and high - low <= CLOSE and verdicts[low] == "trains":
        return None
    start: int = 0
    strides: tuple[int, ...] = STRIDES
    if technique != NO_TECHNIQUE:
        none = [one for one in trials if one.remedy == NO_TECHNIQUE]
        ends = limit_of(terms, none)
        if ends[0] is not None and ends[1] is not None:
            start, strides = ends[0], NEAR_STRIDES
    place = next_index(verdicts, start, strides, most_trials=MOST_SEARCHED)
    return None if place is None else Assignment(technique, 0, place, terms.search_length)


def _none_is_searched(terms: Terms, trials: Sequence[Trial]) -> bool:
    """Whether the limit of none is known, from which all other searches begin: which trials are made must not rest on which ended first."""
    none = [one for one in trials if one.remedy == NO_TECHNIQUE]
    return refusal(none) is not None or _next_of_search(terms, NO_TECHNIQUE, trials) is None


def _seed_places(plan: Plan, mine: Sequence[Trial], running: Sequence[Assignment]) -> list[int]:
    best = None if any(one.seed == 0 for one in running) else best_place(plan.terms, mine)
    return [] if best is None else [best]


def trials_left(plan: Plan, technique: str, trials: Sequence[Trial]) -> int:
    """Return how many trials a technique will still take, as far as can be foreseen."""
    mine = [one for one in trials if one.remedy == technique]
    if refusal(mine) is not None:
        return 0
    seeds = (plan.terms.seeds - 1) - len({one.seed for one in whole(plan.terms, mine) if one.seed})
    if _next_of_search(plan.terms, technique, trials) is not None:
        return max(1, 5 - len(searched(plan.terms, mine))) + FIRST_RATES + seeds
    made = {one.grid_index for one in whole(plan.terms, mine) if one.seed == 0}
    missing = [place for place in rates_to_try(plan.terms, mine) if place not in made]
    if missing or best_place(plan.terms, mine) is not None:
        return len(missing) + seeds
    return 0
