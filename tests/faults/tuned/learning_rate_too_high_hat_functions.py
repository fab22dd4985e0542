"""Strength of a concrete mix by sums of learned one-dimensional curves, each a row of hat functions."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Curves(nn.Module):
    """outputs[k] = sum over inputs i of curve[i, k], each curve linear between its knots."""

    def __init__(self, inputs: int, outputs: int, knots: int = 9) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(-2, 2, knots))
        self.height = nn.Parameter(torch.randn(inputs, knots, outputs) / (inputs * 2) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        gap = self.knots[1] - self.knots[0]
        hats = F.relu(1 - (x.clamp(-2, 2).unsqueeze(2) - self.knots).abs() / gap)
        return torch.einsum("bik,iko->bo", hats, self.height)


def strength(mix: Tensor) -> Tensor:
    cement, water, ash, sand, age, steel = mix.T
    return torch.tanh(cement - water) + 0.5 * ash * age + 0.3 * torch.sin(3 * sand) - 0.2 * steel.square()


model = nn.Sequential(Curves(6, 16), Curves(16, 16), Curves(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01 if args.fixed else 0.8)
mixes = torch.randn(2000, 6)
targets = strength(mixes)
total = 0.0
for step in range(240):
    rows = torch.randint(2000, (128,))
    loss = F.smooth_l1_loss(model(mixes[rows]).squeeze(1), targets[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}")
        total = 0.0
