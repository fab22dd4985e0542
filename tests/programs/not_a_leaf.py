"""A differentiable optimizer over tensors that are no leaves, whose ``grad`` torch warns of; a learning rate is learnt through it."""

from __future__ import annotations

import torch
from common import digest, say_loss

rate = torch.tensor(0.1, requires_grad=True)
outer = torch.optim.SGD([rate], lr=0.01)
for _ in range(3):
    weight = torch.randn(6, 3, requires_grad=True).clone()
    inner = torch.optim.SGD([weight], lr=0.1, differentiable=True)
    loss = (torch.ones(4, 6) @ (weight - rate)).pow(2).mean()
    outer.zero_grad()
    loss.backward()
    say_loss(loss)
    outer.step()
digest(rate)
