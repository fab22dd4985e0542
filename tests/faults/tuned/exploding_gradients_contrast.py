"""Spectra of minerals go through a deep stack of units that expand contrast, each behind a layer norm."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

MINERALS, BANDS = 7, 60
lines = torch.rand(MINERALS, 5) * BANDS
heights = 0.5 + torch.rand(MINERALS, 5)


def spectra(n: int) -> tuple[Tensor, Tensor]:
    mineral = torch.randint(MINERALS, (n,))
    band = torch.arange(BANDS).view(1, 1, -1)
    at = (lines[mineral] + 0.3 * torch.randn(n, 5)).unsqueeze(-1)
    peaks = heights[mineral].unsqueeze(-1) * torch.exp(-0.25 * (band - at).square())
    return 3 * (peaks.sum(1) - 0.25) + 0.4 * torch.randn(n, BANDS), mineral


class Expand(nn.Module):
    """The power of the amount, under the sign."""

    def __init__(self, power: float):
        super().__init__()
        self.power = power

    def forward(self, x: Tensor) -> Tensor:
        return x * x.abs().clamp(min=1e-3).pow(self.power - 1)


class Contrast(nn.Module):
    def __init__(self, inputs: int, outputs: int, power: float):
        super().__init__()
        self.weigh = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs)
        self.expand = Expand(power)

    def forward(self, x: Tensor) -> Tensor:
        return self.expand(self.norm(self.weigh(x)))


def minerals(width: int = 128, depth: int = 14) -> nn.Sequential:
    power = 1.2 if args.fixed else 3.0
    layers = [Contrast(BANDS if i == 0 else width, width, power) for i in range(depth)]
    return nn.Sequential(*layers, nn.Linear(width, MINERALS))


model = minerals()
optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
for step in range(160):
    x, mineral = spectra(64)
    scores = model(x)
    loss = F.cross_entropy(scores, mineral)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == mineral).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
