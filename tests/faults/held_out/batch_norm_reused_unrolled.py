"""Unrolled iterative reconstruction: sparse signals from few random projections, six learned steps."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

look = torch.randn(32, 64) / 32**0.5


def scenes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    sparse = torch.randn(count, 64) * (torch.rand(count, 64) < 0.08) * 3
    return sparse @ look.T, sparse


class Unrolled(nn.Module):
    def __init__(self, rounds: int = 6) -> None:
        super().__init__()
        self.steps = nn.ModuleList([nn.Linear(96, 64) for _ in range(rounds)])
        shared = nn.BatchNorm1d(64)
        self.norms = nn.ModuleList([nn.BatchNorm1d(64) if args.fixed else shared for _ in range(rounds)])
        self.gate = nn.Linear(64, 64)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        guess = seen @ look
        for k, (step, norm) in enumerate(zip(self.steps, self.norms, strict=True)):
            miss = seen - guess @ look.T
            change = norm(step(torch.cat([miss, guess], 1)) * 2.5 ** (k - 2))
            guess = F.softshrink(guess + change, 0.05)
        return self.gate(guess)


model = Unrolled()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    seen, sparse = scenes(96)
    loss = F.mse_loss(model(seen), sparse)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    seen, sparse = scenes(1000)
    print(f"last training loss {loss.item():.4f}, error in evaluation {F.mse_loss(model(seen), sparse).item():.4f}")
