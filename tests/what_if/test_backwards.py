"""Which backwards behind a loss are not on the tape."""

from __future__ import annotations

from typing import Any

import torch

from bnprobe.measure.graph import MOST_NODES
from bnprobe.what_if.backwards import hidden_backwards


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return 2 * gradient


def chain(operations: int) -> torch.Tensor:
    value = torch.ones((), requires_grad=True)
    for _ in range(operations):
        value = value * 1.0
    return value


def test_autograd_functions_of_the_script_are_named() -> None:
    assert hidden_backwards([Doubled.apply(chain(3))]).endswith("not on the tape: Doubled")
    assert hidden_backwards([chain(3)]) == ""


def test_of_a_graph_that_is_too_long_to_be_walked_this_is_said() -> None:
    assert f"more than {MOST_NODES} operations" in hidden_backwards([chain(MOST_NODES + 10)])
