"""Credit risk from a table: features are mixed, sorted into soft bins, and mixed again."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def customers(n: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 12)
    score = torch.sin(1.5 * (x[:, 0] + x[:, 1])) + x[:, 2] * x[:, 3] + 0.7 * (x[:, 4] - x[:, 5]).abs() - 0.8
    return x, (score + 0.1 * torch.randn(n) > 0).float()


class SoftBins(nn.Module):
    """Every feature against a row of knots, with a soft step as wide as `width`."""

    def __init__(self, features: int, knots: int, width: float):
        super().__init__()
        self.knots = nn.Parameter(torch.linspace(-1.5, 1.5, knots).repeat(features, 1))
        self.width = width
        self.step = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.step((x.unsqueeze(-1) - self.knots) / self.width).flatten(1)


class Risk(nn.Module):
    def __init__(self, width: float):
        super().__init__()
        self.mix1 = nn.Linear(12, 24)
        self.bins1 = SoftBins(24, 6, width)
        self.mix2 = nn.Linear(144, 24)
        self.bins2 = SoftBins(24, 6, width)
        self.risk = nn.Linear(144, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bins1(self.mix1(x))
        x = self.bins2(self.mix2(x))
        return self.risk(x).squeeze(1)


model = Risk(width=0.4 if args.fixed else 0.004)
optimizer = torch.optim.NAdam(model.parameters(), lr=6e-3)
for step in range(250):
    x, bad = customers(128)
    score = model(x)
    loss = F.binary_cross_entropy_with_logits(score, bad)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        right = ((score > 0) == (bad > 0.5)).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f}, right {right:.2f}")
