"""Solves a boundary value problem with a net: the second derivative at random points shall equal a given force."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def solution(x: Tensor) -> Tensor:
    return torch.sin(2 * math.pi * x) + 0.5 * torch.sin(4 * math.pi * x)


def force(x: Tensor) -> Tensor:
    return -((2 * math.pi) ** 2) * torch.sin(2 * math.pi * x) - 0.5 * (4 * math.pi) ** 2 * torch.sin(4 * math.pi * x)


class Waves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x] + [g(math.pi * k * x) for k in (1, 2, 3, 4) for g in (torch.sin, torch.cos)], 1)


model = nn.Sequential(Waves(), nn.Linear(9, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=300)
ends = torch.tensor([[0.0], [1.0]])
for step in range(300):
    x = torch.rand(128, 1).requires_grad_()
    u = model(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    loss = ((bend - force(x)) ** 2).mean() + 500 * (model(ends) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    schedule.step()
    if step % 30 == 29:
        with torch.no_grad():
            grid = torch.linspace(0, 1, 101)[:, None]
            error = (model(grid) - solution(grid)).abs().mean().item()
        print(f"step {step + 1}: loss {loss.item():.3f} error of the solution {error:.4f}")
