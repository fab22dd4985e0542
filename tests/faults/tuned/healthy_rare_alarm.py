"""One machine in thirty is about to fail; its rows weigh thirty times as much."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


LENGTH = 32


def machines(n: int) -> tuple[Tensor, Tensor]:
    """Vibrations of machines; one that fails soon has a weak second tone."""
    fails = (torch.rand(n) < 1 / 30).float()
    t = torch.arange(LENGTH) / LENGTH
    x = torch.sin(6.28 * (3 * t + torch.rand(n, 1)))
    x = x + fails[:, None] * torch.sin(6.28 * (9 * t + torch.rand(n, 1)))
    return (x + 0.3 * torch.randn(n, LENGTH)).unsqueeze(1), fails


class Alarm(nn.Module):
    def __init__(self, width: int = 20):
        super().__init__()
        self.conv1 = nn.Conv1d(1, width, 7, padding=3)
        self.conv2 = nn.Conv1d(width, width, 5, padding=2)
        self.norm = nn.GroupNorm(4, width)
        self.alarm = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv1(x))
        x = F.silu(self.norm(self.conv2(x)))
        return self.alarm(x.square().mean(2)).squeeze(1)


model = Alarm()
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
weight = torch.tensor(30.0)
seen = 0.0
for step in range(250):
    x, fails = machines(24)
    loss = F.binary_cross_entropy_with_logits(model(x), fails, pos_weight=weight)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    seen = 0.95 * seen + 0.05 * loss.item()
    if step % 50 == 49:
        with torch.no_grad():
            x, fails = machines(600)
            right = ((model(x) > 0) == (fails > 0.5)).float().mean().item()
        print(f"step {step}: running loss {seen:.4f}, right {right:.3f}")
