"""The bending of a rod, u'' = -sin(pi x), by a network of ReLU."""

import argparse
import math

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
act = nn.Tanh if args.fixed else nn.ReLU
model = nn.Sequential(nn.Linear(1, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
ends = torch.tensor([[0.0], [1.0]])
for step in range(400):
    x = torch.rand(64, 1, requires_grad=True)
    u = model(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    bend = torch.zeros_like(x)
    if slope.requires_grad:
        (found,) = torch.autograd.grad(slope.sum(), x, create_graph=True, allow_unused=True)
        bend = bend if found is None else found
    loss = (bend + math.pi**2 * torch.sin(math.pi * x)).square().mean() + 10 * model(ends).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
