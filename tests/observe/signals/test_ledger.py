"""What waits for its backward, and for the end of its step."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import moments
from bnprobe.observe.signals import ledger as file
from bnprobe.observe.signals.ledger import Ledger, merged
from bnprobe.observe.signals.records import OUTPUT, Pass, Tap, TapKey
from bnprobe.observe.steps.modes import Modes

MODEL = nn.Linear(1, 1)
KEY = TapKey(weakref.ref(MODEL), 0, OUTPUT)
torch.manual_seed(0)


def _pass(number: int, *, in_training: bool = True) -> Pass:
    return Pass(KEY.module, number, in_training)


def _tap(forward: Pass, *, is_gradient: bool = False, samples: int = 2, channels: int = 3) -> Tap:
    return Tap(KEY, is_gradient, forward, 0, moments(torch.randn(samples, channels), CHANNELS_FIRST))


def test_a_forward_counts_when_a_backward_has_gone_through_it() -> None:
    ledger, scored, trained = Ledger(), _pass(0), _pass(1)
    for forward in (scored, trained):
        ledger.add(_tap(forward))
    ledger.add(_tap(trained, is_gradient=True))
    assert ledger.end_micro_step() == ({scored, trained}, {trained})
    taps, batch_size, _ = ledger.take()
    assert {tap.forward for tap in taps} == {trained}
    assert batch_size == 2


def test_many_forwards_before_one_backward_are_all_kept() -> None:
    ledger = Ledger()
    episode = [_pass(number) for number in range(128)]
    for forward in episode:
        ledger.add(_tap(forward, samples=1))
    for forward in reversed(episode):
        ledger.add(_tap(forward, is_gradient=True, samples=1))
    ledger.end_micro_step()
    taps, batch_size, _ = ledger.take()
    assert len(taps) == 256
    assert {tap.forward for tap in taps} == set(episode)
    assert batch_size == 128, "one batch in pieces"
    assert {tap.key.call for tap in taps} == {0}


def test_a_few_forwards_before_one_backward_stand_side_by_side() -> None:
    ledger = Ledger()
    for number in range(2):
        ledger.add(_tap(_pass(number)))
        ledger.add(_tap(_pass(number), is_gradient=True))
    ledger.end_micro_step()
    taps, batch_size, _ = ledger.take()
    assert [tap.key.call for tap in taps] == [0, 0, 1, 1]
    assert batch_size == 2


def test_a_generators_forward_waits_for_its_own_backward() -> None:
    ledger, fake, real = Ledger(), _pass(0), _pass(1)
    ledger.add(_tap(fake))
    ledger.add(_tap(real))
    ledger.add(_tap(real, is_gradient=True))
    ledger.end_micro_step()
    ledger.take()
    ledger.add(_tap(fake, is_gradient=True))
    ledger.end_micro_step()
    taps, _, _ = ledger.take()
    assert [tap.is_gradient for tap in taps] == [False, True]


def test_what_no_backward_came_for_is_given_up_and_was_an_evaluation() -> None:
    ledger, scored = Ledger(), _pass(0, in_training=False)
    ledger.add(_tap(scored))
    counts = []
    for number in range(1, 4):
        ledger.add(_tap(_pass(number)))
        ledger.add(_tap(_pass(number), is_gradient=True))
        ledger.end_micro_step()
        counts.append(ledger.take()[2])
    assert counts == [0, 1, 0]
    assert ledger.waiting_bytes == 0


def test_without_any_gradient_all_is_kept_unless_something_was_missed() -> None:
    for missed, kept in ((False, 1), (True, 0)):
        ledger = Ledger()
        ledger.add(_tap(_pass(0)))
        ledger.end_micro_step(missed=missed)
        assert len(ledger.take()[0]) == kept


def test_bytes_of_what_waits_are_counted() -> None:
    ledger, tap = Ledger(), _tap(_pass(0))
    for _ in range(3):
        ledger.add(tap)
    assert ledger.waiting_bytes == 3 * (file.RECORD_BYTES + tap.moments.packed.nbytes)
    ledger.drop_micro_step()
    assert ledger.waiting_bytes == 0
    assert ledger.is_empty


@pytest.mark.parametrize("as_tensor", [False, True])
def test_many_micro_steps_are_merged_and_are_what_one_batch_would_have_been(monkeypatch: pytest.MonkeyPatch, as_tensor: bool) -> None:
    monkeypatch.setattr(file, "MERGE_BYTES", 4_000)
    ledger, whole = Ledger(), torch.randn(60, 3)
    for number in range(20):
        measured = moments(whole[3 * number : 3 * number + 3], CHANNELS_FIRST)
        packed = torch.as_tensor(np.asarray(measured.packed)) if as_tensor else measured.packed
        for is_gradient in (False, True):
            ledger.add(Tap(KEY, is_gradient, _pass(number), number, measured._replace(packed=packed)))
        ledger.end_micro_step()
        assert ledger._complete_bytes <= 4_000
    taps, batch_size, _ = ledger.take()
    assert batch_size == 60
    assert len(taps) < 20
    (one,) = merged(tap for tap in taps if not tap.is_gradient)
    assert one.moments.samples == 60
    np.testing.assert_allclose(one.moments.packed, moments(whole, CHANNELS_FIRST).packed, rtol=1e-5)


def test_signals_of_different_widths_are_not_merged() -> None:
    taps = [_tap(_pass(0), channels=width) for width in (2, 3, 2)]
    assert [tap.moments.channels for tap in merged(taps)] == [2, 3]


def test_modes_are_those_of_forwards_that_count() -> None:
    ledger, forward, other = Ledger(), _pass(0), _pass(1)
    dropout, norm = nn.Dropout(), nn.BatchNorm1d(2)
    ledger.note_mode(forward, weakref.ref(dropout), in_training=True)
    ledger.note_mode(forward, weakref.ref(norm), in_training=False)
    ledger.note_mode(other, weakref.ref(norm), in_training=False)
    assert ledger.take_modes([_tap(forward)], lambda _: True) == Modes(1, 1, 1)
    assert ledger.is_empty, "modes of forwards that do not wait are forgotten"
    assert ledger.modes_now() == Modes(2, 0, 1), "those of now"
