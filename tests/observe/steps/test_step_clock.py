"""What a step is, without a training."""

from __future__ import annotations

from bnprobe.observe.steps.step_clock import UNUSED_OPTIMIZER_BACKWARDS, CountsBackwards, StepClock, StepClosed, WeightsMoved

ADAM, SGD = 1, 2


def moved(number: int, by_hand: bool = False) -> tuple[WeightsMoved]:
    return (WeightsMoved(number, by_hand),)


def train(clock: StepClock, *optimizers: int) -> list[object]:
    """One forward, one backward, one update by each optimizer; return the events."""
    events = [*clock.forward_began(), *clock.backward_began(), *clock.backward_ended(has_optimizer=True)]
    for optimizer in optimizers:
        events += [*clock.update_began(optimizer), *clock.update_ended(optimizer)]
    return events


def test_a_step_is_closed_when_the_next_one_begins() -> None:
    clock = StepClock()
    assert train(clock, ADAM) == [*moved(0)]
    assert clock.is_moved
    assert train(clock, ADAM) == [StepClosed(0), *moved(1)]
    assert clock.number == 1


def test_it_can_be_closed_without_waiting() -> None:
    clock = StepClock()
    assert clock.settle() == ()
    train(clock, ADAM)
    assert clock.settle() == (StepClosed(0),)
    assert clock.settle() == ()
    assert (clock.number, clock.micro_steps, clock.is_moved) == (1, 0, False)


def test_several_optimizers_in_a_row_make_one_step() -> None:
    clock = StepClock()
    assert train(clock, ADAM, SGD) == [*moved(0), *moved(0)]
    assert train(clock, ADAM, SGD)[0] == StepClosed(0)
    assert clock.moved_before == {ADAM, SGD}


def test_one_optimizer_twice_makes_two() -> None:
    clock = StepClock()
    assert train(clock, ADAM, ADAM) == [*moved(0), StepClosed(0), *moved(1)]


def test_inside_a_backward_it_steps_once_for_each_parameter() -> None:
    clock = StepClock()
    clock.backward_began()
    for _ in range(3):
        assert clock.update_began(ADAM, inside_backward=True) == ()
        clock.update_ended(ADAM)
    assert clock.backward_ended(has_optimizer=True) == ()
    assert clock.backward_began() == (StepClosed(0),)


def test_micro_steps_are_backwards_that_did_not_fail() -> None:
    clock = StepClock()
    for _ in range(3):
        clock.backward_began()
        clock.backward_ended(has_optimizer=True)
    clock.backward_began()
    clock.backward_failed()
    assert clock.micro_steps == 3
    assert not clock.is_moved


def test_without_an_optimizer_a_step_is_a_backward() -> None:
    clock = StepClock()
    clock.backward_began()
    reason = "the script has no optimizer object"
    assert clock.backward_ended(has_optimizer=False) == (CountsBackwards(0, reason), *moved(0, by_hand=True))
    assert clock.backward_began() == (StepClosed(0),)
    assert clock.backward_ended(has_optimizer=False) == moved(1, by_hand=True)


def test_an_optimizer_that_never_steps_is_taken_to_be_unused_until_it_does() -> None:
    clock = StepClock()
    for _ in range(UNUSED_OPTIMIZER_BACKWARDS):
        clock.backward_began()
        assert clock.backward_ended(has_optimizer=True) == ()
    clock.backward_began()
    assert [type(event) for event in clock.backward_ended(has_optimizer=True)] == [CountsBackwards, WeightsMoved]
    assert clock.counts_backwards
    train(clock, SGD)
    assert not clock.counts_backwards
    assert train(clock, SGD)[0] == StepClosed(clock.number - 1)


def test_an_update_that_a_scaler_refuses_ends_a_step() -> None:
    clock = StepClock()
    clock.backward_began()
    clock.backward_ended(has_optimizer=True)
    assert clock.update_ended(ADAM) == moved(0)
    assert clock.forward_began() == (StepClosed(0),)


def test_the_last_update() -> None:
    clock = StepClock()
    assert clock.last_update == -1
    clock.backward_began()
    assert clock.last_update == -1
    clock.update_began(ADAM)
    clock.update_ended(ADAM)
    assert clock.last_update == 0
    clock.settle()
    assert clock.last_update == 1
