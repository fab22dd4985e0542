"""The life of a remedy that needs attention, or norms behind additions: applied, saved, copied, removed."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from bnprobe.remedies import apply

NAMES = ["qk-norm", "deep-norm"]


def encoder(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 2))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int) -> list[float]:
    losses = []
    for step in range(first, first + 3):
        torch.manual_seed(step)
        loss = model(torch.randn(4, 3, 8)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_from_a_checkpoint_bit_for_bit(name: str) -> None:
    model, again = encoder(), encoder(seed=1)
    for one in (model, again):
        apply(name, one)
    optimizer, resumed = (torch.optim.Adam(one.parameters(), lr=1e-2) for one in (model, again))
    train(model, optimizer, 0)
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert train(again, resumed, 3) == train(model, optimizer, 3)


@pytest.mark.parametrize("name", NAMES)
def test_models_still_pickle_and_copy_and_become_what_they_were(name: str) -> None:
    model, x = encoder().eval(), torch.randn(4, 3, 8)
    names, before = list(model.state_dict()), model(x)
    torch.manual_seed(5)
    applied = apply(name, model)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    expected = model(x)
    assert not torch.equal(expected, before)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(twin(x), expected)
    applied.remove()
    assert list(model.state_dict()) == names
    assert not any("forward" in vars(module) or module._forward_pre_hooks or module._forward_hooks for module in model.modules())
