"""Trains on small pictures first and on larger ones later, with a smaller batch and a smaller rate at every change of size."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="nothing to remove: the same run")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def patterns(n: int, side: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 4, (n,))
    line = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    phase, pace = torch.rand(2, n, 1, 1) * 3
    pace = 4 + pace
    waves = torch.stack(
        [
            torch.sin(pace * x + phase),
            torch.sin(pace * y + phase),
            torch.sin(pace * (x + y) + phase),
            torch.sin(2 * pace * (x**2 + y**2).sqrt() + phase),
        ]
    )
    picture = waves[kind, torch.arange(n)] + 0.4 * torch.randn(n, side, side)
    return picture.unsqueeze(1), kind


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(4, outputs)

    def forward(self, h: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(h)))


model = nn.Sequential(Block(1, 16), nn.MaxPool2d(2), Block(16, 24), Block(24, 24), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
for side, batch, rate in ((8, 96, 0.1), (12, 48, 0.05), (16, 32, 0.02)):
    for group in optimizer.param_groups:
        group["lr"] = rate
    for step in range(70):
        picture, kind = patterns(batch, side)
        answer = model(picture)
        loss = F.cross_entropy(answer, kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 23 == 0 or step == 69:
            print(f"side {side} step {step}: loss {loss.item():.4f} right {(answer.argmax(1) == kind).float().mean():.3f}")
