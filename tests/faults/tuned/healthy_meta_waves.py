"""Learn to learn waves: a few steps on one wave, then the start moves a part of the way there, then the next wave."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

INNER, TASKS = 6, 50


def wave() -> tuple[float, float]:
    return (torch.rand(()) * 1.5 + 0.5).item(), (torch.rand(()) * math.pi / 2).item()


def points(height: float, phase: float, count: int = 32) -> tuple[Tensor, Tensor]:
    x = torch.rand(count, 1) * 6 - 3
    return x.to(device), (height * torch.sin(x + phase)).to(device)


model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def adapt(height: float, phase: float) -> tuple[float, float]:
    losses = []
    for _ in range(INNER):
        x, y = points(height, phase)
        loss = (model(x) - y).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


for task in range(TASKS):
    start = [p.detach().clone() for p in model.parameters()]
    first, last = adapt(*wave())
    part = 0.6 * (1 - task / TASKS) + 0.1
    with torch.no_grad():
        for p, s in zip(model.parameters(), start, strict=True):
            p.copy_(s + part * (p - s))
    if task % 5 == 0:
        print(f"task {task}: loss {first:.4f} -> {last:.4f}")
