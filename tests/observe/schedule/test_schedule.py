from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import pairwise

import pytest

from bnprobe.observe.schedule.alarm import Level
from bnprobe.observe.schedule.schedule import BASELINE_STEPS, CREDIT_SECONDS, TROUBLE_STEPS, WATCH_SHARE, Schedule
from bnprobe.observe.steps.open_step import GroupSettings


def run(schedule: Schedule, steps: int, bare: float, cost: float, start: int = 0) -> list[int]:
    """Let steps pass that take ``bare`` seconds, and ``cost`` more where they are observed; return those observed."""
    observed = []
    for step in range(start, start + steps):
        seen = schedule.is_observed(step)
        schedule.account(bare + cost * seen, cost * seen, seen)
        if seen:
            observed.append(step)
    return observed


def test_everything_is_measured_within_the_budget() -> None:
    schedule = Schedule(every=1, budget=0.05)
    assert run(schedule, 200, bare=0.1, cost=0.004) == list(range(200))


@pytest.mark.parametrize("cost", [0.05, 0.2, 1.0])
def test_a_costly_measurement_is_thinned_to_the_budget(cost: float) -> None:
    schedule = Schedule(every=1, budget=0.05)
    observed = run(schedule, 8000, bare=0.1, cost=cost)
    assert observed[:BASELINE_STEPS] == list(range(BASELINE_STEPS))
    later = [step for step in observed if step >= BASELINE_STEPS]
    assert 0.4 <= len(later) * cost / (0.05 * 8000 * 0.1) <= 1.05


def test_measured_steps_are_spread_over_the_whole_run() -> None:
    schedule = Schedule(every=1, budget=0.05, free_seconds=2.0)
    observed = run(schedule, 8000, bare=0.001, cost=0.002)
    tenths = [sum(start <= step < start + 800 for step in observed) for start in range(0, 8000, 800)]
    assert min(tenths) >= 15
    assert sum(tenths[5:]) >= 0.1 * len(observed)
    assert max(after - before for before, after in pairwise(observed)) <= 100


def test_what_the_first_steps_cost_thins_nothing() -> None:
    """They pay for imports, allocations and thread pools."""
    cheap, dear = Schedule(1, 0.05), Schedule(1, 0.05)
    for step in range(BASELINE_STEPS):
        for schedule, cost in ((cheap, 0.02), (dear, 4.0 if step < 4 else 0.02)):
            assert schedule.is_observed(step)
            schedule.account(0.1 + cost, cost, was_observed=True)
    usual = run(cheap, 2000, bare=0.1, cost=0.02, start=BASELINE_STEPS)
    assert len(run(dear, 2000, bare=0.1, cost=0.02, start=BASELINE_STEPS)) >= 0.9 * len(usual)


def test_one_slow_look_thins_little() -> None:
    """Another program had the processor while it was measured."""
    usual, disturbed = Schedule(1, 0.05), Schedule(1, 0.05)
    run(usual, 500, bare=0.1, cost=0.02)
    run(disturbed, 500, bare=0.1, cost=0.02)
    disturbed.account(0.5, 0.4, was_observed=True)
    assert disturbed.stride == usual.stride


@pytest.mark.parametrize(("passing", "least", "most"), [(0.0, 75, 111), (0.02, 37, 67), (0.2, 12, 28)])
def test_what_unmeasured_steps_cost_is_part_of_the_budget(passing: float, least: int, most: int) -> None:
    """But a quarter of the budget is for measuring in any case."""
    schedule, measured = Schedule(every=1, budget=0.05), 0
    for step in range(4000):
        seen = schedule.is_observed(step)
        own = 1.8 if seen else passing
        schedule.account(1.0 + own, own, seen)
        measured += seen and step >= BASELINE_STEPS
    assert least <= measured <= most


def test_what_closing_a_measured_step_costs_is_measuring() -> None:
    """It is counted in the seconds of the step after it."""
    schedule, closing = Schedule(every=1, budget=0.05), 0.0
    for step in range(4000):
        seen = schedule.is_observed(step)
        own = 0.5 * seen + closing
        schedule.account(1.0 + own, own, seen, closing)
        closing = 1.3 if seen else 0.0
    assert schedule.stride in (50, 100)


def test_the_stride_follows_a_training_that_becomes_slow() -> None:
    schedule = Schedule(every=1, budget=0.05)
    run(schedule, 1000, bare=0.01, cost=0.01)
    assert 15 <= schedule.stride <= 50
    run(schedule, 4000, bare=1.0, cost=0.01, start=1000)
    assert schedule.stride == 1


def test_the_stride_flickers_little() -> None:
    schedule = Schedule(every=1, budget=0.05)
    changes = 0
    for step in range(3000):
        seen = schedule.is_observed(step)
        cost = (0.045, 0.055)[step // 100 % 2] * seen
        changes += schedule.account(0.1 + cost, cost, seen)
    assert changes <= 4


def test_every_is_a_floor() -> None:
    schedule = Schedule(every=3, budget=1e9)
    assert run(schedule, 30, bare=0.1, cost=0.1) == list(range(0, 30, 3))


def test_every_holds_while_thinning() -> None:
    schedule = Schedule(every=3, budget=0.05)
    observed = run(schedule, 3000, bare=0.1, cost=0.1)
    assert all(step % 3 == 0 for step in observed)


def test_no_budget_measures_next_to_nothing() -> None:
    schedule = Schedule(every=1, budget=0.0)
    observed = run(schedule, 2000, bare=0.1, cost=0.001)
    assert observed[:BASELINE_STEPS] == list(range(BASELINE_STEPS))
    assert len(observed) <= BASELINE_STEPS + 3


def test_snapshots_are_dense_first_and_then_rare() -> None:
    schedule = Schedule(every=1, budget=0.05)
    taken = [step for step in range(12_001) if schedule.is_snapshot(step)]
    assert taken == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, *range(1000, 12_001, 1000)]
    assert schedule.is_snapshot(10**15)


Sets = list[tuple[int, ...]]


def test_a_training_behind_another_has_snapshots_of_its_own() -> None:
    schedule = Schedule(every=1, budget=0.05)
    taken = []
    for step in range(600):
        taken += [step] * schedule.is_snapshot(step)
        schedule.note_optimizers(step, (1 if step < 300 else 2,))
    assert taken == [0, 1, 2, 5, 10, 20, 50, 100, 200, 301, 302, 303, 306, 311, 321, 351, 401, 500, 501]


@pytest.mark.parametrize(
    ("before", "later", "agrees"),
    [
        ([(1,)], [(1, 2)], False),  # gradual unfreezing
        ([(1, 2)], [(1,), (2,)], False),  # a scaler skips one of two
        ([(1,), (2,)], [(1, 3), (2,)], False),
        ([(1,)], [(2,)], True),  # the others' may be another step
    ],
)
def test_an_optimizer_more_or_less_is_no_training_of_its_own(before: Sets, later: Sets, agrees: bool) -> None:
    schedule = Schedule(every=1, budget=0.05, agrees=agrees)
    taken = []
    for step in range(600):
        taken += [step] * schedule.is_snapshot(step)
        phase = before if step < 300 else later
        schedule.note_optimizers(step, phase[step % len(phase)])
    assert taken == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500]


def test_an_optimizer_made_in_every_step_adds_few_snapshots() -> None:
    schedule = Schedule(every=1, budget=0.05)
    taken = 0
    for step in range(2000):
        taken += schedule.is_snapshot(step)
        schedule.note_optimizers(step, (step,))
    assert taken < 100


def follow(schedule: Schedule, losses: Iterable[float], start: int, bare: float = 0.1, cost: float = 0.1) -> list[int]:
    """Let steps with these losses pass; return those observed."""
    observed = []
    for step, loss in enumerate(losses, start):
        seen = schedule.is_observed(step)
        observed += [step] * seen
        schedule.note_loss(loss)
        schedule.account(bare + cost * seen, cost * seen, seen)
    return observed


CALM = [1.0 + 0.01 * (step % 2) for step in range(300)]


def test_a_loss_about_to_be_lost_is_measured_on_credit() -> None:
    schedule = Schedule(every=1, budget=0.0)
    assert follow(schedule, CALM, 0) == list(range(BASELINE_STEPS))
    assert follow(schedule, [10.0], 300) == []
    assert follow(schedule, [1.0] * 40, 301, cost=0.01)[:TROUBLE_STEPS] == list(range(301, 301 + TROUBLE_STEPS))
    assert follow(schedule, [1.0] * 40, 341) == []


def test_credit_has_an_end() -> None:
    schedule = Schedule(every=1, budget=0.0)
    follow(schedule, CALM, 0)
    rising = follow(schedule, [10.0 * 4.0**step for step in range(60)], 300)
    assert CREDIT_SECONDS / 0.1 - 2 <= len(rising) <= CREDIT_SECONDS / 0.1 + 2


@pytest.mark.parametrize("budget", [0.0, 0.2])
def test_a_rise_beyond_the_noise_is_looked_at_out_of_the_budget(budget: float) -> None:
    schedule = Schedule(every=1, budget=budget)
    follow(schedule, CALM, 0)
    follow(schedule, [1.2], 300)
    assert len(follow(schedule, [1.0] * 20, 301)) >= 8 if budget else not follow(schedule, [1.0] * 20, 301)


def test_noise_of_a_loss_that_is_next_to_nothing_costs_no_more_than_the_budget() -> None:
    schedule, draw = Schedule(every=1, budget=0.05), random.Random(0)
    losses = [sum(draw.gauss(0.0, 1.0) ** 2 for _ in range(4)) * max(1e-8, 0.98**step) for step in range(20_000)]
    observed = follow(schedule, losses, 0, bare=0.01, cost=0.002)
    assert len(observed) * 0.002 <= 1.05 * 0.05 * 20_000 * 0.01


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_trouble(loss: float) -> None:
    schedule = Schedule(every=1, budget=0.0)
    follow(schedule, [1.0] * 30, 0)
    follow(schedule, [loss], 30)
    assert follow(schedule, [1.0], 31) == [31]


@pytest.mark.parametrize("level", [3.0, math.nan])
def test_trouble_that_stays_becomes_normal(level: float) -> None:
    schedule = Schedule(every=1, budget=0.0)
    follow(schedule, CALM, 0)
    follow(schedule, [level] * 2000, 300)
    assert not schedule.is_observed(2300)


def test_another_rate_is_looked_at() -> None:
    schedule = Schedule(every=1, budget=0.05)
    for step in range(1000):
        seen = schedule.is_observed(step)
        schedule.note_rates({0: GroupSettings(0.1 if step < 999 else 0.01, 0.9, 0.0)})
        schedule.account(0.1 + 0.05 * seen, 0.05 * seen, seen)
    assert all(schedule.is_observed(step) for step in range(1000, 1004))


@pytest.mark.parametrize("critics", [1, 2, 5])
def test_optimizers_in_turn_are_measured_as_often_as_each_other(critics: int) -> None:
    schedule, period = Schedule(every=1, budget=0.05), critics + 1
    observed = []
    for step in range(6000):
        seen = schedule.is_observed(step)
        observed += [step] * seen
        schedule.note_optimizers(step, (1,) if step % period < critics else (2,))
        schedule.account(0.1 + 0.06 * seen, 0.06 * seen, seen)
    late = [step % period == critics for step in observed if step >= 1000]
    assert 0.4 < sum(late) / len(late) < 0.6
    assert observed[-1] > 5900


def watch(schedule: Schedule, steps: int, bare: float, cost: float, norm: float = 1.0) -> list[int]:
    """Let unmeasured steps pass; return those at which the gradients were looked at."""
    looked = []
    for step in range(steps):
        if schedule.watches_gradients():
            looked.append(step)
            schedule.note_look(cost)
            schedule.note_gradient(norm)
        schedule.account(bare, 0.0, was_observed=False)
    return looked


def test_the_gradients_of_every_unmeasured_step_are_watched_where_that_costs_little() -> None:
    schedule = Schedule(every=1, budget=0.05)
    schedule.account(0.1, 0.0, was_observed=False)
    assert watch(schedule, 100, bare=0.1, cost=0.1 * WATCH_SHARE / 2) == list(range(100))


def test_the_gradients_of_unmeasured_steps_are_watched_as_often_as_their_share_allows() -> None:
    schedule = Schedule(every=1, budget=0.05)
    schedule.account(0.001, 0.0, was_observed=False)
    looked = watch(schedule, 1000, bare=0.001, cost=0.001 * WATCH_SHARE * 8)
    assert schedule.watch_stride == 10
    assert looked == [*range(BASELINE_STEPS), *range(BASELINE_STEPS + 9, 1000, 10)]


def test_slow_looks_at_the_gradients_do_not_blind_it() -> None:
    """The first pays for thread pools, and now and then another program has the processor."""
    schedule = Schedule(every=1, budget=0.05)
    schedule.account(0.001, 0.0, was_observed=False)
    watch(schedule, 1, bare=0.001, cost=0.01)
    for _ in range(20):
        watch(schedule, 200, bare=0.001, cost=0.001 * WATCH_SHARE * 2)
        watch(schedule, schedule.watch_stride, bare=0.001, cost=0.1)
        assert schedule.watch_stride <= 5


def test_a_rising_gradient_is_trouble_however_rarely_it_is_watched() -> None:
    schedule = Schedule(every=1, budget=0.0)
    run(schedule, 100, bare=0.001, cost=0.001)
    watch(schedule, 2000, bare=0.001, cost=0.001 * WATCH_SHARE * 8)
    assert [schedule.is_observed(step) for step in (2100, 2101)] == [True, False]
    while not schedule.watches_gradients():
        pass
    assert schedule.note_gradient(100.0) is Level.GRAVE
    assert schedule.is_observed(2102)


def test_line_probes_are_regular_or_at_snapshots_and_follow_trouble() -> None:
    schedule = Schedule(1, 0.05)
    assert [step for step in range(20) if schedule.is_probed(step, 5)] == [0, 5, 10, 15]
    assert [step for step in range(20) if schedule.is_probed(step, "auto")] == [0, 1, 2, 5, 10]
    assert not any(schedule.is_probed(step, None) for step in range(20))
    follow(schedule, [1.0] * 31, 0)
    probed = []
    for step, loss in enumerate([100.0, *[1.0] * 10], start=31):
        schedule.is_observed(step)
        probed.append(schedule.is_probed(step, 1000))
        schedule.note_loss(loss)
    assert probed == [False] + [True] * 3 + [False] * 7


def test_what_grows_from_step_to_step_is_told_once() -> None:
    schedule = Schedule(1, 0.05)
    told = [step for step in (3, 4, 5, 20, 40, 61, 100) if schedule.begins_a_look(step)]
    assert told == [3, 61, 100]
