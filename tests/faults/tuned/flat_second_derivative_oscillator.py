"""A damped spring, u'' + 2 u' + 40 u = 0, let go at one: a network learns it from the residual, with leaky rectified units."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Spring(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        unit = nn.Tanh if args.fixed else nn.LeakyReLU
        self.net = nn.Sequential(nn.Linear(1, width), unit(), nn.Linear(width, width), unit(), nn.Linear(width, 1))

    def forward(self, t):
        return self.net(t)


def slope(u, t):
    return torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]


model = Spring()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
at_start = torch.zeros(1, 1, requires_grad=True)
inside = torch.linspace(0, 1, 40).unsqueeze(1).requires_grad_()
for step in range(500):
    u = model(at_start)
    loss_start = (u - 1).pow(2).mean() + 0.1 * slope(u, at_start).pow(2).mean()
    u = model(inside)
    du = slope(u, inside)
    loss_inside = 1e-3 * (slope(du, inside) + 2 * du + 40 * u).pow(2).mean()
    loss = loss_start + loss_inside
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
