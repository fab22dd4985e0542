"""A normalising flow of coupling layers on two moons."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Coupling(nn.Module):
    def __init__(self, first: int):
        super().__init__()
        self.first = first
        self.net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, changed = x[:, self.first], x[:, 1 - self.first]
        scale, shift = self.net(kept.unsqueeze(1)).unbind(1)
        scale = torch.tanh(scale) * 1.5
        pair = [kept, changed * scale.exp() + shift]
        return torch.stack(pair if self.first == 0 else pair[::-1], dim=1), scale


class Flow(nn.Module):
    def __init__(self, depth: int = 6):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(i % 2) for i in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        volume = torch.zeros(len(x), device=x.device)
        for coupling in self.couplings:
            x, scale = coupling(x)
            volume = volume + scale
        return -0.5 * x.pow(2).sum(1) - math.log(2 * math.pi) + volume


def moons(count: int) -> Tensor:
    angle, side = math.pi * torch.rand(count), torch.randint(2, (count,)) * 2.0 - 1
    x = torch.stack([side * torch.cos(angle) + 0.5 * side, side * (torch.sin(angle) - 0.25)], dim=1)
    return x + 0.06 * torch.randn(count, 2)


flow = Flow().to(device)
optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
for step in range(200):
    loss = -flow(moons(128).to(device)).mean()
    if args.fixed:
        optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: negative log-likelihood {loss.item():.4f}")

with torch.no_grad():
    print(f"test negative log-likelihood {-flow(moons(2000).to(device)).mean().item():.4f}")
