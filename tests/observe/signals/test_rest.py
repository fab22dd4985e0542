"""What tells that training goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bnprobe.observe.signals.rest import Rest


@pytest.mark.parametrize(
    ("tell", "ends"),
    [
        (lambda model, optimizer: optimizer.zero_grad(), True),
        (lambda model, optimizer: model.zero_grad(set_to_none=True), True),
        (lambda model, optimizer: model.train(), True),
        (lambda model, optimizer: model.train(mode=True), True),
        (lambda model, optimizer: model.eval(), False),
        (lambda model, optimizer: model(torch.ones(1)), False),
    ],
)
def test_a_rest_ends_when_training_goes_on(tell: Callable[[nn.Module, torch.optim.Optimizer], object], ends: bool) -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters())
    methods = [torch.optim.Optimizer.zero_grad, nn.Module.zero_grad, nn.Module.train]
    ended: list[bool] = []
    rest = Rest(lambda: ended.append(True))
    rest.begin()
    try:
        tell(model, optimizer)
        assert (ended, rest.is_on) == (([True], False) if ends else ([], True))
    finally:
        rest.end()
    assert [torch.optim.Optimizer.zero_grad, nn.Module.zero_grad, nn.Module.train] == methods
