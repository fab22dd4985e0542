from __future__ import annotations

import math

import pytest

from bnprobe.observe.schedule import BASELINE_STEPS, TROUBLE_STEPS, WATCH_SHARE, Schedule


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


@pytest.mark.parametrize(("cost", "stride"), [(0.05, 10), (0.2, 50), (1.0, 200)])
def test_a_costly_measurement_is_thinned_to_the_budget(cost: float, stride: int) -> None:
    schedule = Schedule(every=1, budget=0.05)
    observed = run(schedule, 4000, bare=0.1, cost=cost)
    assert observed[:BASELINE_STEPS] == list(range(BASELINE_STEPS))
    assert schedule.stride == stride
    later = [step for step in observed if step >= 1000]
    assert later == list(range(1000, 4000, stride))
    assert len(later) * cost <= 1.12 * 0.05 * 3000 * 0.1


@pytest.mark.parametrize(("passing", "stride"), [(0.0, 50), (0.02, 100), (0.2, 100)])
def test_what_unmeasured_steps_cost_is_part_of_the_budget(passing: float, stride: int) -> None:
    """But half of the budget is for measuring in any case."""
    schedule = Schedule(every=1, budget=0.05)
    for step in range(4000):
        seen = schedule.is_observed(step)
        own = 1.8 if seen else passing
        schedule.account(1.0 + own, own, seen)
    assert schedule.stride == stride


def test_what_closing_a_measured_step_costs_is_measuring() -> None:
    """It is counted in the seconds of the step after it."""
    schedule, closing = Schedule(every=1, budget=0.05), 0.0
    for step in range(4000):
        seen = schedule.is_observed(step)
        own = 0.5 * seen + closing
        schedule.account(1.0 + own, own, seen, closing)
        closing = 1.3 if seen else 0.0
    assert schedule.stride == 50


def test_the_stride_follows_a_training_that_becomes_slow() -> None:
    schedule = Schedule(every=1, budget=0.05)
    run(schedule, 500, bare=0.01, cost=0.01)
    assert schedule.stride == 20
    run(schedule, 4000, bare=1.0, cost=0.01, start=500)
    assert schedule.stride == 1


def test_a_change_of_stride_is_told_once() -> None:
    schedule = Schedule(every=1, budget=0.05)
    changes = []
    for step in range(300):
        seen = schedule.is_observed(step)
        changes.append(schedule.account(0.1 + 0.05 * seen, 0.05 * seen, seen))
    assert sum(changes) == 1


def test_a_wavering_cost_does_not_make_the_stride_flicker() -> None:
    schedule = Schedule(every=1, budget=0.05)
    changes = 0
    for step in range(3000):
        seen = schedule.is_observed(step)
        cost = (0.045, 0.055)[step // 100 % 2] * seen
        changes += schedule.account(0.1 + cost, cost, seen)
    assert changes <= 2


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
    assert observed == [*range(BASELINE_STEPS), 1000]


def test_snapshots_are_dense_first_and_then_rare() -> None:
    schedule = Schedule(every=1, budget=0.05)
    taken = [step for step in range(12_001) if schedule.is_snapshot(step)]
    assert taken == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, *range(1000, 12_001, 1000)]
    assert schedule.is_snapshot(10**15)


def test_a_rising_loss_is_trouble_for_a_while() -> None:
    schedule = Schedule(every=1, budget=0.0)
    run(schedule, 100, bare=0.1, cost=0.1)
    begins = [schedule.note_loss(1.0 + 0.01 * (step % 2)) for step in range(50)]
    assert not any(begins)
    assert not schedule.is_observed(101)
    assert schedule.note_loss(2.0)
    assert schedule.is_observed(101)
    assert not schedule.note_loss(2.1), "told once"
    for _ in range(TROUBLE_STEPS):
        schedule.note_loss(1.0)
    assert not schedule.is_observed(101)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_trouble(loss: float) -> None:
    schedule = Schedule(every=1, budget=0.0)
    for _ in range(3):
        schedule.note_loss(1.0)
    assert schedule.note_loss(loss)


def test_a_loss_that_was_never_seen_is_no_trouble() -> None:
    schedule = Schedule(every=1, budget=0.05)
    assert not any(schedule.note_loss(math.nan) for _ in range(100))


def test_a_falling_or_noisy_loss_is_no_trouble() -> None:
    schedule = Schedule(every=1, budget=0.05)
    noise = [((step * 7919) % 100) / 100 for step in range(500)]
    assert not any(schedule.note_loss(10.0 * 0.99**step + 0.5 * noise[step]) for step in range(500))


@pytest.mark.parametrize("level", [3.0, math.nan])
def test_trouble_that_stays_becomes_normal(level: float) -> None:
    schedule = Schedule(every=1, budget=0.05)
    run(schedule, 100, bare=0.1, cost=0.5)
    for _ in range(50):
        schedule.note_loss(1.0)
    for _ in range(2000):
        schedule.note_loss(level)
    assert not schedule.is_observed(2151)


def watch(schedule: Schedule, steps: int, bare: float, cost: float, norm: float = 1.0) -> list[int]:
    """Let unmeasured steps pass; return those at which the gradients were looked at."""
    looked = []
    for step in range(steps):
        if schedule.watches_gradients():
            looked.append(step)
            schedule.note_gradient(norm, cost)
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
    assert not schedule.is_observed(2101)
    while not schedule.watches_gradients():
        pass
    assert schedule.note_gradient(100.0, 0.001)
    assert schedule.is_observed(2101)


def test_line_probes_are_regular_or_at_snapshots_and_follow_trouble() -> None:
    schedule = Schedule(1, 0.05)
    assert [step for step in range(20) if schedule.is_probed(step, 5)] == [0, 5, 10, 15]
    assert [step for step in range(20) if schedule.is_probed(step, "auto")] == [0, 1, 2, 5, 10]
    assert not any(schedule.is_probed(step, None) for step in range(20))
    for _ in range(30):
        schedule.note_loss(1.0)
    probed = []
    for step, loss in enumerate([100.0, *[1.0] * 10], start=31):
        schedule.note_loss(loss)
        probed.append(schedule.is_probed(step, 1000))
    assert probed == [True] * 3 + [False] * 8
