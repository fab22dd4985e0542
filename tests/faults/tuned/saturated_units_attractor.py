"""Restores damaged patterns with two layers of hard tanh, whose gain imitates a step."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
GAIN = 1.0 if args.fixed else 60.0
source = torch.randn(4, 30)


def patterns(n: int) -> tuple[Tensor, Tensor]:
    clean = torch.tanh(torch.randn(n, 4) @ source / 2)
    return clean * (torch.rand(n, 30) > 0.2) + 0.1 * torch.randn(n, 30), clean


class Step(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.bound = nn.Hardtanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.bound(GAIN * self.linear(x))


model = nn.Sequential(Step(30, 64), Step(64, 64), nn.Linear(64, 30))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    damaged, clean = patterns(64)
    loss = nn.functional.mse_loss(model(damaged), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: loss {loss.item():.4f}")
