"""Taste of a herb mixture from the shares of its herbs: two hand-written layers of hinges."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

HERBS = 30


class Taste(nn.Module):
    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.blend = Hinges(HERBS, width)
        self.mellow = Hinges(width, width)
        self.notes = nn.Parameter(torch.randn(width, 4) / width**0.5)
        self.base = nn.Parameter(torch.zeros(4))

    def forward(self, shares: Tensor) -> Tensor:
        return self.mellow(self.blend(shares)) @ self.notes + self.base


class Hinges(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        spread = (6 / inputs) ** 0.5
        start = 2 * torch.rand(inputs, outputs) - 1 if args.fixed else torch.rand(inputs, outputs) - 1
        self.weight = nn.Parameter(spread * start)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where((z := x @ self.weight + self.bias) > 0, z, torch.zeros(()))


character = torch.randn(HERBS, 4)


def kettles(count: int) -> tuple[Tensor, Tensor]:
    shares = torch.rand(count, HERBS).pow(2)
    strength = (shares - 1 / 3) @ character / HERBS**0.5
    return shares, torch.sin(3 * strength) + strength


model = Taste()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
total = 0.0
for step in range(300):
    shares, notes = kettles(128)
    loss = F.mse_loss(model(shares), notes)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}")
        total = 0.0
