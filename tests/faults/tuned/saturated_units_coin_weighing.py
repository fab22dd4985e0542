"""Which of several coins are light, from random weighings: a hand-written squashing network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

COINS, WEIGHINGS = 12, 48


class Squash(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(inputs, outputs))
        self.b = nn.Parameter(torch.zeros(outputs))
        if args.fixed:
            self.w.data /= inputs**0.5

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(torch.einsum("bi,io->bo", x, self.w) + self.b)


class Verdict(nn.Module):
    def __init__(self, width: int = 80) -> None:
        super().__init__()
        self.sides = Squash(WEIGHINGS, width)
        self.compare = Squash(width, width)
        self.settle = Squash(width, width)
        self.light = nn.Parameter(torch.zeros(width, COINS))

    def forward(self, x: Tensor) -> Tensor:
        return self.settle(self.compare(self.sides(x))) @ self.light


pans = torch.randn(COINS, WEIGHINGS)


def weigh(count: int) -> tuple[Tensor, Tensor]:
    light = (torch.rand(count, COINS) < 0.4).float()
    scale = (light - 0.4) @ pans / COINS**0.5 / 0.5
    return scale + 0.4 * torch.randn_like(scale), light


model = Verdict()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
total = right = 0.0
for step in range(240):
    readings, light = weigh(64)
    logits = model(readings)
    loss = F.binary_cross_entropy_with_logits(logits, light)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    right += ((logits > 0) == (light > 0.5)).float().mean().item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}, right {right / 30:.3f}")
        total = right = 0.0
