"""A two-wheel cipher broken by bilinear tables of letters: momentum written by hand."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

LETTERS = 26


class Wheels(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(LETTERS, width))
        self.second = nn.Parameter(torch.randn(LETTERS, width))
        self.out = nn.Parameter(torch.randn(width, LETTERS) / width**0.5)

    def forward(self, letter: Tensor, place: Tensor) -> Tensor:
        return (self.first[letter] * self.second[place]) @ self.out


wheel = torch.randperm(LETTERS)
model = Wheels()
rate = 1.5 if args.fixed else 5e-4
speed = [torch.zeros_like(p) for p in model.parameters()]
total = 0.0
for step in range(240):
    letter, place = torch.randint(LETTERS, (2, 256))
    cipher = wheel[(wheel[letter] + place % 4) % LETTERS]
    loss = F.cross_entropy(model(letter, place), cipher)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for p, v, g in zip(model.parameters(), speed, gradients, strict=True):
            v.mul_(0.8).add_(g)
            p.sub_(rate * v)
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}")
        total = 0.0
