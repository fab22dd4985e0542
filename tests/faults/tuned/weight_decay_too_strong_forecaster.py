"""Forecasts the next value of a noisy sum of two oscillations with a GRU and a penalty on its weights."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
PENALTY = 1e-6 if args.fixed else 3e-2


def series(n: int, length: int = 25) -> Tensor:
    time = torch.arange(length).float()
    slow = torch.sin(2 * math.pi * (time / 16 + torch.rand(n, 1)))
    fast = torch.sin(2 * math.pi * (time / 5 + torch.rand(n, 1)))
    return (slow + fast + 0.05 * torch.randn(n, length))[..., None]


class Forecaster(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.recurrent = nn.GRU(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.recurrent(x)[0])


model = Forecaster()
optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
for step in range(120):
    x = series(32)
    error = nn.functional.mse_loss(model(x[:, :-1])[:, 8:], x[:, 9:])
    penalty = sum(p.pow(2).sum() for p in model.parameters())
    loss = error + PENALTY * penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: error {error.item():.4f}, penalty {penalty.item():.2f}")
