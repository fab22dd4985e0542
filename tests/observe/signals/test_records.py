"""Many forwards before one backward: pieces of a batch, or calls that feed each other."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn

from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import moments
from bnprobe.observe.signals.records import FORWARDS_IN_A_CHAIN, INPUT, OUTPUT, Pass, Tap, TapKey, batch_size_of, renumbered

MODEL = nn.Linear(1, 1)


def _forward(number: int, made_by: str | None) -> list[Tap]:
    """The signals of one forward of two samples: its input, unless a forward before it has produced that, and its output."""
    forward, size = Pass(weakref.ref(MODEL), number, True), moments(torch.ones(2, 3), CHANNELS_FIRST)
    roles = [OUTPUT] if made_by is None else [INPUT, OUTPUT]
    return [Tap(TapKey(forward.root, 0, role), False, forward, number, size, made_by=made_by or "") for role in roles]


def _calls(taps: list[Tap]) -> set[int]:
    return {tap.key.call for tap in renumbered(taps)}


def test_forwards_that_begin_with_data_are_pieces_of_a_batch() -> None:
    taps = [tap for number in range(12) for tap in _forward(number, "")]
    assert _calls(taps) == {0}
    assert batch_size_of(taps) == 24


@pytest.mark.parametrize("made_by", [None, "tanh"])
def test_forwards_that_feed_each_other_are_depth(made_by: str | None) -> None:
    taps = _forward(0, "") + [tap for number in range(1, 12) for tap in _forward(number, made_by)]
    assert _calls(taps) == set(range(12))
    assert batch_size_of(taps) == 2


def test_the_depth_of_a_long_chain_is_not_told() -> None:
    taps = _forward(0, "") + [tap for number in range(1, FORWARDS_IN_A_CHAIN + 1) for tap in _forward(number, None)]
    assert _calls(taps) == {0}


def test_a_few_forwards_stand_side_by_side() -> None:
    taps = [tap for number in range(2) for tap in _forward(number, "")]
    assert _calls(taps) == {0, 1}
    assert batch_size_of(taps) == 2
