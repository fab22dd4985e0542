"""What steps take, and what of that is the recorder's."""

from __future__ import annotations

import pytest

from bnprobe.observe.schedule.costs import LARGEST_FACTOR, PASSING_SECONDS, Costs
from bnprobe.observe.schedule.schedule import BASELINE_STEPS, Schedule

BARE = 0.001


def measure(costs: Costs, count: int, *, took: float, seen: float, turn: int = 0, interrupted: bool = False, bare: float = BARE) -> None:
    """Take note of so many measured steps, each with ten others behind it, the first of which closes it."""
    for _ in range(count):
        costs.take(bare + took, seen, 0.0, True, turn, was_interrupted=interrupted)
        for place in range(10):
            closing = seen / 2 if place == 0 else 0.0
            costs.take(bare + took / seen * closing, closing, closing, False, turn)


def test_all_that_a_clock_sees_is_the_cost() -> None:
    costs = Costs()
    measure(costs, 30, took=0.002, seen=0.002)
    assert costs.factor == pytest.approx(1.0)
    assert costs.measuring == pytest.approx(0.003)
    assert costs.bare == pytest.approx(BARE)


def test_what_no_clock_sees_is_told_by_how_much_longer_steps_take() -> None:
    costs = Costs()
    measure(costs, 30, took=0.002, seen=0.0008)
    assert costs.factor == pytest.approx(2.5)
    assert costs.measuring == pytest.approx(0.003)
    assert costs.take(BARE + 0.002, 0.0008, 0.0, True, 0).measuring == pytest.approx(0.002)


def test_a_step_during_which_another_program_ran_teaches_nothing() -> None:
    costs = Costs()
    measure(costs, 30, took=0.002, seen=0.001)
    measure(costs, 30, took=0.5, seen=0.001, interrupted=True)
    assert costs.factor == pytest.approx(2.0)


def test_single_slow_steps_teach_little() -> None:
    costs = Costs()
    measure(costs, 20, took=0.002, seen=0.001)
    measure(costs, 3, took=0.5, seen=0.001)
    assert costs.factor == pytest.approx(2.0)


def test_no_more_than_so_many_times_what_was_seen_is_believed() -> None:
    costs = Costs()
    measure(costs, 30, took=0.1, seen=0.0001)
    assert costs.factor == LARGEST_FACTOR


def test_a_step_is_compared_with_those_of_its_own_optimizer() -> None:
    """A generator's steps are longer than its critic's, measured or not."""
    costs = Costs()
    for _ in range(20):
        measure(costs, 1, took=0.002, seen=0.001, turn=1, bare=0.001)
        measure(costs, 1, took=0.002, seen=0.001, turn=2, bare=0.01)
    assert costs.factor == pytest.approx(2.0)


def test_what_steps_that_pass_by_cost_is_seen_as_little() -> None:
    costs = Costs()
    measure(costs, 30, took=0.002, seen=0.001)
    cost = costs.take_passed([BARE] * 20, noted=[6e-6] * 20, made=4e-4, turn=0)
    assert cost.passing == pytest.approx(2.0 * 20 * 6e-6 + 4e-4)


def test_another_program_that_runs_while_a_step_is_noted_costs_next_to_nothing() -> None:
    costs = Costs()
    measure(costs, 30, took=0.002, seen=0.001)
    costs.take_passed([BARE] * 19 + [0.06], noted=[6e-6] * 19 + [0.059], made=0.0, turn=0)
    assert costs.passing < 0.1 * BARE
    assert costs.bare > 0.9 * BARE


def test_a_burst_is_spread_over_the_steps_between_two_of_them() -> None:
    costs = Costs()
    for index in range(int(2 * PASSING_SECONDS / (20 * BARE))):
        costs.take_passed([BARE] * 20, noted=[0.0] * 20, made=0.02 if index % 100 == 0 else 0.0, turn=0)
    assert costs.passing == pytest.approx(0.02 / 2000, rel=0.15)


@pytest.mark.parametrize("factor", [1.0, 3.0, 6.0])
def test_steps_take_as_much_longer_as_the_budget_says(factor: float) -> None:
    """However little of it any clock sees."""
    schedule, bare, seen, taken, closing, steps = Schedule(every=1, budget=0.05), 0.001, 0.0003, 0.0, 0.0, 60_000
    for step in range(steps):
        observed = schedule.is_observed(step)
        own, seconds = seen * observed + closing, bare + factor * (seen * observed + closing)
        schedule.account(seconds, own, observed, closing)
        taken += (seconds - bare) * (step >= BASELINE_STEPS)
        closing = seen / 3 if observed else 0.0
    assert 0.4 <= taken / (0.05 * bare * steps) <= 1.05


def test_a_training_whose_steps_become_short_while_each_is_measured_is_measured_less() -> None:
    """No step stands apart there: each is measured, or comes right after one that is."""
    schedule, cost, measured = Schedule(every=1, budget=0.05), 0.003, 0
    for step, bare in enumerate([0.01] * 300 + [0.1] * 3000 + [0.01] * 6000):
        observed = schedule.is_observed(step)
        schedule.account(bare + cost * observed, cost * observed, observed)
        measured += observed and step >= 7300
    assert 100 <= measured <= 400  # of 2000: a sixth is what the budget pays for
