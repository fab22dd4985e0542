"""A scripted force field: TorchScript compiles ``torch.autograd.grad`` inside the forward."""

from __future__ import annotations

import warnings

import torch
from common import digest, say_loss, say_norms
from torch import nn

warnings.filterwarnings("ignore")


class Energy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.requires_grad_()
        force = torch.autograd.grad([self.net(x).sum()], [x], create_graph=True)[0]
        assert force is not None
        return -force


model = torch.jit.script(Energy())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    x = torch.randn(8, 3)
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
