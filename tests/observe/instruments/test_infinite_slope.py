from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from bnprobe.observe.instruments.infinite_slope import infinite_slopes

Function = Callable[[torch.Tensor], torch.Tensor]


def told(make: Function, *, freed: bool = True) -> list[str]:
    """What is told of a loss made of a layer's outputs, after its backward."""
    layer = nn.Linear(3, 3)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    loss = make(layer(torch.ones(2, 3)))
    loss.backward(retain_graph=not freed)
    return infinite_slopes([loss], list(layer.parameters()))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda x: x.sqrt().sum(), ["sqrt"]),
        (lambda x: (1 - x.exp()).pow(0.5).mean(), ["pow"]),
        (lambda x: x.exp().acos().mean(), ["acos"]),
        (lambda x: (x.exp().acos() + (1 - x.exp()).sqrt()).mean(), ["acos", "sqrt"]),
        (lambda x: (1 - x.exp()).pow(torch.tensor(0.3)).mean(), ["pow"]),
        # A root is finite at zero; a logarithm would have spoilt the loss, unless it was left out.
        (lambda x: (x.exp().log() + x.square().sqrt()).mean(), ["sqrt"]),
        (lambda x: torch.where(x > 0, x.log(), x).mean(), ["log"]),
        (lambda x: (x / 2 + x.square()).mean(), []),
        (lambda x: torch.log_softmax(x, 1).mean(), []),
        (lambda x: x.masked_fill(torch.ones(2, 3, dtype=torch.bool), -math.inf).logsumexp(1).clamp(min=-1).mean(), ["logsumexp"]),
    ],
)
def test_operations_with_an_infinite_slope_are_named_when_the_graph_is_freed(make: Function, names: list[str]) -> None:
    assert told(make) == told(make, freed=False) == names


def test_an_operation_behind_which_others_were_spoilt_as_well_is_not_the_one() -> None:
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    x = torch.ones(2, 3)
    loss = (one(x).abs() + 1).sqrt().sum() + other(x).clamp(-0.5, 0.5).acos().sum()
    assert infinite_slopes([loss], list(one.parameters())) == ["sqrt"]
    assert infinite_slopes([loss], list(other.parameters())) == ["acos"]
    assert infinite_slopes([loss], [*one.parameters(), *other.parameters()]) == []


def test_of_more_than_two_none_stands_out() -> None:
    assert told(lambda x: (x.exp().acos() + (1 - x.exp()).sqrt() + x.exp().asin()).mean()) == []
