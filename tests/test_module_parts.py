"""The parts of a module are those that torch lists, whatever the script has made of its lists."""

from __future__ import annotations

import pytest
import torch
import torch.fx
from torch import nn

from bnprobe import module_parts


def _shared() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    model.append(model[0])
    model[2][1].weight = model[0].weight
    model.register_parameter("scale", nn.Parameter(torch.ones(1)))
    model.register_module("absent", None)
    return model


@pytest.mark.parametrize(
    "model", [_shared(), nn.MultiheadAttention(4, 2), torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))]
)
def test_they_are_torchs(model: nn.Module) -> None:
    assert [name for name, _ in module_parts.named_modules(model)] == [name for name, _ in model.named_modules()]
    assert [name for name, _ in module_parts.named_parameters(model)] == [name for name, _ in model.named_parameters()]
    assert len(list(module_parts.buffers(model))) == len(list(model.buffers()))


def test_a_model_is_not_asked() -> None:
    class Refusing(nn.Linear):
        def named_parameters(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            raise NotImplementedError

        named_modules = modules = parameters = buffers = named_parameters  # type: ignore[assignment]

    model = Refusing(2, 2)
    assert list(module_parts.modules(model)) == [model]
    assert list(module_parts.parameters(model)) == [model.weight, model.bias]
    assert list(module_parts.buffers(model)) == []
