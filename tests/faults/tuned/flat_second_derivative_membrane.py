"""A membrane under load, in two dimensions, by a network of leaky ReLU."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
act = nn.Softplus if args.fixed else nn.LeakyReLU
model = nn.Sequential(nn.Linear(2, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    x = torch.rand(96, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    laplacian = torch.zeros(96)
    for axis in range(2):
        (second,) = torch.autograd.grad(slope[:, axis].sum(), x, create_graph=True, allow_unused=True, materialize_grads=True)
        laplacian = laplacian + second[:, axis]
    rim = torch.rand(32, 2)
    rim[:, 0] = (rim[:, 0] > 0.5).float()
    loss = (laplacian - 2).square().mean() + 5 * model(rim).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
