"""Which trials a comparison makes, simulated: what a trial gives is a function of its rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from bnprobe.analyse.comparison import BELOW, MOST_FURTHER, Terms, best_place, limit_of, rates_to_try, refusal, trials_to_keep
from bnprobe.experiments.comparison.plan import Assignment, Plan, next_of, trials_left
from bnprobe.experiments.order import Script
from bnprobe.store.comparison_file import WHOLE, Trial

Loss = Callable[[int], float]


def plan(length: int = WHOLE, search_length: int = 50, seeds: int = 3) -> Plan:
    return Plan(Script("train.py", False, ()), Terms(("NONE", "msr"), seeds, length, search_length), jobs=1, threads=1)


def carried_out(assignment: Assignment, loss: Loss) -> Trial:
    """A training that diverges where its loss is infinite; held-out numbers say the opposite of the training loss."""
    final = loss(assignment.grid_index)
    outcome = "trains" if math.isfinite(final) else "diverges"
    return Trial(
        assignment.technique,
        assignment.seed,
        assignment.grid_index,
        outcome,
        final_loss=final,
        length=assignment.length,
        held_out_loss=-final,
        peak_rate=0.1,
    )


def made(
    terms: Plan, loss: Loss, techniques: tuple[str, ...] = ("NONE",), changed: Callable[[Trial], Trial] = lambda one: one
) -> list[Trial]:
    trials: list[Trial] = []
    for technique in techniques:
        while (wanted := next_of(terms, technique, trials, [])) is not None:
            assert wanted not in [Assignment(one.remedy, one.seed, one.grid_index, one.length) for one in trials], "made twice"
            trials.append(changed(carried_out(wanted, loss)))
            assert len(trials) < 60
    return trials


def below(limit: int, best: int) -> Loss:
    """Trains below a limit, best at a place."""
    return lambda place: math.inf if place >= limit else 1.0 + abs(place - best)


@pytest.mark.parametrize(("limit", "best"), [(6, 5), (6, 3), (6, 1), (6, -3), (1, 0), (-5, -9), (17, 13)])
def test_the_best_rate_is_that_of_the_lowest_training_loss_among_those_below_the_limit(limit: int, best: int) -> None:
    trials = made(plan(), below(limit, best))
    terms = plan().terms
    tried = [one for one in trials if one.length == WHOLE and one.seed == 0]
    assert 3 <= len(tried) <= len(BELOW) + 1 + MOST_FURTHER
    assert len({one.grid_index for one in tried}) == len(tried)
    assert max(one.grid_index for one in tried) in (limit - 1, limit - 2), "the fastest is the fastest that trained in the search"
    chosen = best_place(terms, trials)
    assert chosen is not None and chosen == min(tried, key=lambda one: one.final_loss).grid_index
    assert {(one.seed, one.grid_index) for one in trials if one.seed} == {(1, chosen), (2, chosen)}
    assert trials_left(plan(), "NONE", trials) == 0


def test_lower_rates_are_tried_as_long_as_the_lowest_is_the_best() -> None:
    assert len(rates_to_try(plan().terms, made(plan(), below(6, 5)))) == 3
    falling = rates_to_try(plan().terms, made(plan(), below(6, -20)))
    assert [place - falling[0] for place in falling[:5]] == list(BELOW)


@pytest.mark.parametrize("best", [1, -3, -7])
def test_a_best_rate_far_below_the_limit_is_found(best: int) -> None:
    """A technique that trains a little at any rate has its limit decades above what trains best: a rate at the edge is no best one."""
    trials = made(plan(), below(14, best))
    chosen = best_place(plan().terms, trials)
    assert chosen is not None and abs(chosen - best) <= 1
    assert min(one.grid_index for one in trials if one.length == WHOLE) < chosen


def test_one_worse_rate_below_the_best_does_not_end_the_way_down() -> None:
    """Losses of single trainings scatter."""
    losses = {8: 0.4, 7: 0.15, 5: 0.2, 3: 0.06, 1: 0.3}
    trials = made(plan(), lambda place: math.inf if place > 8 else losses.get(place, 0.5))
    assert best_place(plan().terms, trials) == 3
    assert rates_to_try(plan().terms, trials)[:5] == [8, 7, 5, 3, 1]


def test_a_rate_at_which_the_search_trained_best_is_tried_however_far_below_the_limit() -> None:
    """Just below its limit it learns a little, and a little more than somewhat below."""
    losses = {0: 1.9, -1: 2.0, -3: 2.1}
    trials = made(plan(), lambda place: math.inf if place > 8 else losses.get(place - 8, 0.1 if place <= 0 else 2.05))
    assert best_place(plan().terms, trials) == 0


def test_nothing_held_out_decides() -> None:
    trials = made(plan(), below(6, 3))
    best = best_place(plan().terms, trials)
    tried = [one for one in trials if one.length == WHOLE and one.seed == 0]
    assert best != min(tried, key=lambda one: one.held_out_loss).grid_index


def test_short_trainings_are_shared_with_the_search() -> None:
    short = plan(length=50, search_length=50)
    trials = made(short, below(6, 3))
    assert len(trials) < len(made(plan(), below(6, 3)))
    assert best_place(short.terms, trials) == 3 or min(abs(place - 3) for place in rates_to_try(short.terms, trials)) <= 1


def test_a_technique_that_is_refused_is_not_tried_again() -> None:
    refused = Trial("msr", 0, 0, "refused", reason="no convolution")
    assert next_of(plan(), "msr", [refused], []) is None
    assert trials_left(plan(), "msr", [refused]) == 0


def erring(above: int) -> Callable[[Trial], Trial]:
    """A script that ends with an error where its loss is not finite."""
    return lambda one: replace(one, outcome="failed", reason="ValueError") if one.grid_index > above else one


def test_an_error_at_a_rate_that_is_too_high_does_not_end_a_technique() -> None:
    techniques = ("NONE", "msr")
    trials = made(plan(), below(6, 3), techniques, lambda one: erring(5)(one) if one.remedy == "NONE" else erring(1)(one))
    for name, top in (("NONE", 5), ("msr", 1)):
        mine = [one for one in trials if one.remedy == name]
        assert refusal(mine) is None and limit_of(plan().terms, mine)[0] in (top, top - 1)
        assert best_place(plan().terms, mine) is not None
    assert trials_to_keep(trials) == trials


def test_a_technique_that_errs_at_every_rate_is_given_up_at_the_scripts_own() -> None:
    trials = made(plan(), below(6, 3), ("NONE", "msr"), lambda one: erring(-99)(one) if one.remedy == "msr" else one)
    mine = [one for one in trials if one.remedy == "msr"]
    ended = refusal(mine)
    assert ended is not None and ended.grid_index <= 0 and len(mine) <= 4
    assert trials_to_keep(trials) == [one for one in trials if one.remedy == "NONE"]


def test_a_technique_that_diverges_at_every_rate_comes_to_an_end() -> None:
    def loss(place: int) -> float:
        return math.inf

    trials = made(plan(), loss)
    assert best_place(plan().terms, trials) is None
    assert not [one for one in trials if one.seed]


def test_other_searches_begin_at_the_limit_of_none() -> None:
    trials = made(plan(), below(17, 13), ("NONE", "msr"))
    searched = {name: [one for one in trials if one.remedy == name and one.length == 50] for name in ("NONE", "msr")}
    assert len(searched["msr"]) < len(searched["NONE"])


def test_a_search_has_one_trial_under_way_and_whole_trainings_several() -> None:
    first = next_of(plan(), "NONE", [], [])
    assert first is not None and next_of(plan(), "NONE", [], [first]) is None
    trials = [one for one in made(plan(), below(6, 3)) if one.length != WHOLE]
    one = next_of(plan(), "NONE", trials, [])
    assert one is not None
    other = next_of(plan(), "NONE", trials, [one])
    assert other is not None and other != one
