"""What a loss is made of behind the last layer."""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.observe.instruments.graph import kind, loss_nodes


def test_what_a_loss_is_made_of_ends_at_the_last_layer() -> None:
    """A layer with a bias is named like a sum: AddmmBackward0."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
    loss = ((network(torch.randn(5, 3)) + 1.0).exp() / 2).mean()
    assert [kind(node) for node in loss_nodes(loss)] == ["MeanBackward0", "DivBackward0", "ExpBackward0", "AddBackward0"]
