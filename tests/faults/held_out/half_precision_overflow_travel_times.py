"""Slowness logs of wells become travel times along the well, from which a network tells the kind of rock sequence."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def wells(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    depth = torch.linspace(0, 1, 512)
    kind = torch.randint(0, 3, (count,))
    trend = torch.stack([-0.35 * depth, 0.35 * (depth - 0.5).abs() - 0.1, 0.3 * torch.sin(9 * depth)])[kind]
    return (320 * torch.exp(trend + 0.15 * torch.randn(count, 512)))[:, None], kind


class TravelTime(nn.Module):
    """Sums slowness downwards; every eighth depth is kept, against a straight line."""

    def forward(self, slowness: torch.Tensor) -> torch.Tensor:
        if not args.fixed:
            slowness = slowness.half()
        time = slowness.cumsum(-1)
        return time[..., ::8]


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.times = TravelTime()
        self.conv1 = nn.Conv1d(2, 16, 5, padding=2)
        self.conv2 = nn.Conv1d(16, 24, 5, stride=2, padding=2)
        self.kind = nn.Linear(24, 3)

    def forward(self, slowness: torch.Tensor) -> torch.Tensor:
        time = self.times(slowness).float()
        line = torch.linspace(0, 1, time.shape[-1]) * 160000
        local = slowness[..., ::8] / 320 - 1
        x = torch.cat([(time - line) / 20000, local], 1)
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.kind(x.mean(-1))


model = Sequence()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
for step in range(120):
    slowness, kind = wells(32)
    loss = F.cross_entropy(model(slowness), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"final loss {loss.item():.4f}")
