"""Weights that a script moves itself: what has moved since the backward before."""

from __future__ import annotations

import gc
import weakref

import torch
from torch import nn

from bnprobe.observe.instruments.stale_gradients import HandMoves, find_stale, still_stale


def test_what_moves_in_place_is_seen_and_what_stays_or_moves_through_data_is_not() -> None:
    first, second, hidden, kept = (nn.Parameter(torch.ones(2)) for _ in range(4))
    kept.requires_grad_(False)
    moves = HandMoves()
    assert moves.moved() == []
    moves.look([first, second, hidden, kept])
    with torch.no_grad():
        first -= 0.1
        kept -= 0.1
    hidden.data -= 0.1
    assert [parameter is first for parameter in moves.moved()] == [True]
    moves.look_again()
    assert moves.moved() == []
    with torch.no_grad():
        second.mul_(0.5)
    assert [parameter is second for parameter in moves.moved()] == [True]
    moves.forget()
    assert moves.moved() == []


def test_weights_are_not_kept_alive() -> None:
    weight = nn.Parameter(torch.ones(2))
    moves, alive = HandMoves(), weakref.ref(weight)
    moves.look([weight])
    del weight
    gc.collect()
    assert alive() is None
    assert moves.moved() == []


def test_tensors_made_for_inference_have_no_version() -> None:
    with torch.inference_mode():
        made = torch.ones(2)
    moves = HandMoves()
    moves.look([made, nn.Parameter(torch.ones(2))])
    assert moves.moved() == []


def test_gradients_that_are_there() -> None:
    with_gradient, without = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    with_gradient.grad = torch.tensor([3.0, 4.0])
    found = find_stale([with_gradient, without])
    assert found.keys == [id(with_gradient)]
    assert found.norms is not None
    assert found.norms.tolist() == [5.0]


def test_what_is_cleared_before_a_later_backward_was_not_stale() -> None:
    kept, removed, zeroed = (nn.Parameter(torch.ones(2)) for _ in range(3))
    for parameter in (kept, removed, zeroed):
        parameter.grad = torch.tensor([3.0, 4.0])
    found = find_stale([kept, removed, zeroed])
    removed.grad = None
    assert zeroed.grad is not None
    zeroed.grad.zero_()
    left = still_stale(found, [kept, removed, zeroed])
    assert left.norms is not None
    assert left.norms.tolist() == [5.0, 0.0, 0.0]
    kept.grad = None
    left = still_stale(found, [kept, removed])
    assert left.norms is not None
    assert not left.norms.any()
