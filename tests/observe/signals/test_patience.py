"""How many forwards are measured while no backward comes."""

from __future__ import annotations

import weakref

from torch import nn

from bnprobe.observe.signals import patience
from bnprobe.observe.signals.patience import FIRST_FORWARDS, LIMIT_BYTES, REFUSED_CALLS, SPARE_FORWARDS, Patience
from bnprobe.observe.signals.records import Pass

MODEL, OTHER = nn.Linear(1, 1), nn.Linear(1, 1)


def _passes(count: int, model: nn.Module = MODEL, first: int = 0) -> list[Pass]:
    reference = weakref.ref(model)
    return [Pass(reference, number, True) for number in range(first, first + count)]


def _admitted(one: Patience, passes: list[Pass], held: int = 0) -> list[Pass]:
    return [forward for forward in passes if one.admits(forward, held)]


def test_a_first_step_may_collect_many_forwards() -> None:
    assert len(_admitted(Patience(), _passes(10_000))) == FIRST_FORWARDS


def test_a_model_that_uses_one_forward_a_backward_has_a_few_to_spare() -> None:
    one = Patience()
    first = _admitted(one, _passes(1))
    one.answer(first, set(first), missed=False)
    assert len(_admitted(one, _passes(1_000, first=1))) == 1 + SPARE_FORWARDS


def test_one_that_uses_more_than_it_was_allowed_is_allowed_more() -> None:
    one, begin = Patience(), 0
    for _ in range(3):
        measured = _admitted(one, _passes(600, first=begin))
        one.answer(measured, set(measured), missed=False)
        begin += 600
    assert len(_admitted(one, _passes(600, first=begin))) == 600


def test_scoring_does_not_make_it_longer() -> None:
    one = Patience()
    first = _admitted(one, _passes(1))
    one.answer(first, set(first), missed=False)
    for begin in range(1, 10_000, 1_000):
        scored = _admitted(one, _passes(1_000, first=begin))
        one.answer(scored, {scored[-1]}, missed=True)
        assert len(scored) == 1 + SPARE_FORWARDS


def test_a_forward_is_measured_whole_or_not_at_all() -> None:
    one = Patience()
    forward, late = _passes(2)
    assert one.admits(forward, 0)
    assert one.admits(forward, 10 * LIMIT_BYTES)
    assert not one.admits(late, 10 * LIMIT_BYTES)
    assert not one.admits(late, 0)
    assert one.admits(_passes(1, OTHER)[0], 10 * LIMIT_BYTES), "the first forward of each model is measured, however large"
    assert one.admits(forward, 0)


def test_the_hook_rests_after_many_refused_calls_in_a_row() -> None:
    one = Patience()
    told = [one.is_exhausted(hidden=False) for _ in range(REFUSED_CALLS + 1)]
    assert not any(told[: REFUSED_CALLS - 1])
    assert told[-1]
    one.begin()
    assert not one.is_exhausted(hidden=False)


def test_a_rest_that_is_wrong_at_every_step_comes_later() -> None:
    one = Patience()
    one.answer([], set(), missed=True)
    assert not any(one.is_exhausted(hidden=False) for _ in range(REFUSED_CALLS + 1))
    for _ in range(patience.BACKWARDS_BETWEEN):
        one.answer([], set(), missed=False)
    before = one._calls
    one.answer([], set(), missed=True)
    assert one._calls == before, "after many steps without, one more is no reason"


def test_what_is_remembered_does_not_grow() -> None:
    one = Patience()
    _admitted(one, _passes(100_000))
    assert len(one._decided) <= 2 * FIRST_FORWARDS
    for _ in range(500):
        model = nn.Linear(1, 1)
        forwards = _passes(1, model)
        one.answer(forwards, set(forwards), missed=False)
        del model
    assert len(one._limits) <= 128
