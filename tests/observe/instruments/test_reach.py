"""What the activation before an error can give, and what of the targets lies beyond."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from bnprobe.observe.instruments.graph import loss_nodes
from bnprobe.observe.instruments.reach import beyond, difference_of, range_of, written_out

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
Y = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("output", "ends"),
    [
        (lambda: X.sigmoid(), (0.0, 1.0)),
        (lambda: X.tanh(), (-1.0, 1.0)),
        (lambda: X.softmax(1), (0.0, 1.0)),
        (lambda: X.relu(), (0.0, math.inf)),
        (lambda: F.relu6(X), (0.0, 6.0)),
        (lambda: X.clamp(-0.5, 2.0), (-0.5, 2.0)),
        (lambda: X.clamp(max=2.0), (-math.inf, 2.0)),
        (lambda: X.T.relu().T, (0.0, math.inf)),  # laid out otherwise on its way
        (lambda: X, None),
        (lambda: 4 * X.sigmoid() + 1, None),  # scaled behind it
        (lambda: X.relu() @ torch.eye(3), None),  # a layer lies between
    ],
)
def test_the_ends_of_an_output(output: Callable[[], torch.Tensor], ends: tuple[float, float] | None) -> None:
    assert range_of(F.mse_loss(output(), Y).grad_fn) == ends
    [difference] = filter(None, map(difference_of, loss_nodes((output() - Y).pow(2).mean())))
    assert range_of(difference) == ends


@pytest.mark.parametrize("loss", [lambda o: (o - Y).pow(2).sum(), lambda o: (Y - o).abs().mean(), lambda o: ((o - Y) ** 2).mean()])
def test_targets_of_an_error_that_was_written_out(loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
    [node] = [node for node in loss_nodes(loss(X.sigmoid())) if difference_of(node) is not None]
    target = written_out(node)
    assert target is not None
    torch.testing.assert_close(target, Y)


def test_outputs_that_are_compared_with_each_other_have_no_target() -> None:
    assert not any(map(difference_of, loss_nodes((X.sigmoid() - X.tanh()).pow(2).mean())))
    assert not any(map(difference_of, loss_nodes(X.sigmoid().pow(2).mean())))


def test_what_lies_beyond_is_the_least_squared_error() -> None:
    found = {name: float(value) for name, value in beyond(Y, (0.0, 1.0)).items()}
    best = torch.minimum(torch.maximum(Y, torch.zeros(())), torch.ones(()))
    assert found["unreachable_error"] == pytest.approx(float(F.mse_loss(best, Y)), rel=1e-6)
    assert (found["error_target_smallest"], found["error_target_largest"]) == pytest.approx((float(Y.min()), float(Y.max())))
    assert float(beyond(Y.sigmoid(), (0.0, 1.0))["unreachable_error"]) == 0.0
