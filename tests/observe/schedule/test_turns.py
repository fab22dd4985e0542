from __future__ import annotations

import pytest

from bnprobe.observe.schedule.turns import Turns


def follow(turns: Turns, optimizers: list[tuple[int, ...]], start: int = 0) -> list[int]:
    """Measure every step whose turn it is; return them."""
    measured = []
    for step, moved in enumerate(optimizers, start):
        seen = turns.is_turn(0)
        turns.note(step, moved)
        if seen:
            turns.measured(step)
            measured.append(step)
    return measured


def test_one_optimizer_always_has_its_turn() -> None:
    assert follow(Turns(), [(1,)] * 50) == list(range(50))


@pytest.mark.parametrize("period", [[1, 2], [1, 1, 1, 1, 1, 2], [1, 2, 3]])
def test_each_is_measured_as_often_as_the_others(period: list[int]) -> None:
    steps = [(period[step % len(period)],) for step in range(600)]
    late = [steps[step] for step in follow(Turns(), steps) if step >= 100]
    counts = [late.count(one) for one in sorted(set(steps))]
    assert max(counts) - min(counts) <= 2


def test_what_does_not_repeat_has_no_turns() -> None:
    irregular = [(int(bit),) for bit in f"{0x9E3779B97F4A7C15F39CC0605CEDC834:b}"]
    assert len(follow(Turns(), irregular)) > 100


def test_a_new_optimizer_is_news_once_and_has_nothing_to_catch_up() -> None:
    turns = Turns()
    follow(turns, [(1,)] * 300)
    assert turns.note(300, (2,))
    steps = [(1,) if step % 2 else (2,) for step in range(301, 601)]
    late = [step % 2 for step in follow(turns, steps, 301) if step > 400]
    assert abs(late.count(0) - late.count(1)) <= 2
    assert not turns.note(601, (1,))


def test_optimizers_of_one_step_are_one_turn() -> None:
    turns = Turns()
    for step in range(100):
        seen = turns.is_turn(0)
        turns.note(step, (1,))
        if seen:
            turns.measured(step)
        assert not turns.note(step, (1, 2))
        assert seen


def test_an_optimizer_for_every_task_is_forgotten() -> None:
    turns = Turns()
    for step in range(3000):
        turns.note(step, (step,))
    assert len(turns._numbers) < 1000
