"""The sag of a loaded plate, lap u = -f on a square whose edges are held by a factor, with rectified units in a residual network."""

import argparse
import math

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
unit = torch.tanh if args.fixed else torch.relu


class Sag(nn.Module):
    def __init__(self, width=40):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.last = nn.Linear(width, 1)

    def forward(self, place):
        h = unit(self.first(place))
        for block in self.blocks:
            h = h + unit(block(h))
        return self.last(h)


model = Sag()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(300):
    place = torch.rand(100, 2, requires_grad=True)
    u = model(place)
    slope = torch.autograd.grad(u.sum(), place, create_graph=True)[0]
    bend = sum(torch.autograd.grad(slope[:, i].sum(), place, create_graph=True)[0][:, i] for i in range(2))
    load = 2 * math.pi**2 * torch.sin(math.pi * place[:, 0]) * torch.sin(math.pi * place[:, 1])
    along = torch.rand(50)
    edge = torch.cat([torch.stack([along, torch.zeros(50)], 1), torch.stack([torch.ones(50), along], 1)])
    loss = (bend + load).pow(2).mean() + 10 * model(edge).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
