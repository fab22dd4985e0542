"""A training step on shapes alone (how memory is estimated), under FakeTensorMode and on the meta device, and then a real training."""

from __future__ import annotations

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F


def train(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


if sys.argv[1] == "fake":
    with FakeTensorMode():
        train(small_network(), torch.randn(8, 6), torch.zeros(8, dtype=torch.long))
else:
    with torch.device("meta"):
        train(small_network(), torch.randn(8, 6), torch.zeros(8, dtype=torch.long))
model = small_network()
optimizer = torch.optim.Adam(model.parameters())
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
