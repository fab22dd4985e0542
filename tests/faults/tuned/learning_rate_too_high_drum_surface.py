"""Learns the height of a vibrating drum skin over place and time from scattered readings."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def readings(n: int) -> tuple[Tensor, Tensor]:
    place = 2 * torch.rand(n, 3) - 1
    x, y, t = (math.pi / 2 * place).unbind(dim=1)
    return 2 * place, (torch.sin(x) * torch.cos(y / 2) * torch.cos(t) + 0.5 * torch.sin(x + t))[:, None]


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(nn.functional.silu(self.inner(x)))


model = nn.Sequential(nn.Linear(3, 64), Residual(64), Residual(64), Residual(64), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.03 if args.fixed else 0.3, momentum=0.9, nesterov=True)
for step in range(250):
    place, height = readings(128)
    loss = nn.functional.mse_loss(model(place), height)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4g}")
