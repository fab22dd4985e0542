from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from bnprobe.observe.instruments.nonfinite_graph import bad_leaves, find_origin, nodes_of, operation_name
from bnprobe.torch_private import TELLS_OF_SAVED_HOOKS

pytestmark = pytest.mark.skipif(not TELLS_OF_SAVED_HOOKS, reason="this torch does not give what a graph keeps")

LABELS = torch.arange(4)


def born(loss: torch.Tensor) -> tuple[str, str]:
    assert not math.isfinite(loss.item())
    origin = find_origin([loss])
    assert origin is not None
    return origin.kind, origin.operation


def test_nodes_come_in_the_order_in_which_they_were_computed() -> None:
    x = torch.ones(2, 2, requires_grad=True)
    assert [operation_name(node) for node in nodes_of([(x.exp() @ x).log_softmax(1).mean()])] == ["exp", "mm", "log_softmax", "mean"]


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        (lambda x: (x * 0).log().mean(), "log"),
        (lambda x: (x / (x * 0)).mean(), "div"),
        (lambda x: (1 / (x * 0)).sum(), "reciprocal"),
        (lambda x: (-x.abs()).sqrt().mean(), "sqrt"),
        (lambda x: (1000 * x.abs() + 100).exp().mean(), "exp"),
        (lambda x: (x * 0).pow(-0.5).mean(), "pow"),
        (lambda x: ((x * 0).log() @ x).relu().mean(), "log"),
        (lambda x: F.cross_entropy(x, torch.full((4,), -100)), "nll_loss"),
        (lambda x: F.cross_entropy(x, LABELS, reduction="none").sum() / torch.zeros(()), "div"),
        (lambda x: F.cross_entropy(x[None].mT, LABELS[None], reduction="none").sum() / torch.zeros(()), "div"),
        (lambda x: x.masked_fill(torch.ones(4, 4, dtype=torch.bool), -math.inf).softmax(1).pow(2).mean(), "softmax"),
    ],
)
def test_the_operation_is_told(make, operation: str) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    assert born(make(torch.randn(4, 4, requires_grad=True))) == ("operation", operation)


def test_negative_numbers_squared_are_finite() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    assert born((x.pow(2) * 0).log().sum()) == ("operation", "log")


def test_data_and_targets_are_told() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(3, 2), torch.randn(4, 3)
    assert born((layer(x) - torch.full((4, 2), math.inf)).pow(2).mean())[0] == "data"
    assert born(F.mse_loss(layer(x), torch.full((4, 2), math.nan)))[0] == "data"
    x[0, 0] = math.nan
    origin = find_origin([layer(x).pow(2).mean()])
    assert origin is not None and origin.kind == "data"
    assert set(origin.parameters) == {id(layer.weight), id(layer.bias)}


def test_parameters_that_are_not_finite_are_told_first() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        network[2].weight[0, 0] = math.nan
    bad, count = bad_leaves([network(torch.randn(4, 3)).mean()])
    assert [one is network[2].weight for one in bad] == [True]
    assert count == 4


def test_a_checkpoint_is_not_computed_anew() -> None:
    calls = []

    def part(x: torch.Tensor) -> torch.Tensor:
        calls.append(x)
        return (x * 0).log()

    loss = checkpoint(part, torch.ones(3, requires_grad=True), use_reentrant=False).mean()
    find_origin([loss])
    assert len(calls) == 1


def test_a_mask_is_no_fault() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    mask = torch.full((4, 4), -math.inf).triu(1)
    attended = F.scaled_dot_product_attention(x, x, x, attn_mask=mask)
    assert born((attended * 0).log().mean()) == ("operation", "log")
