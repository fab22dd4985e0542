"""Recognises what was drawn from the strokes of the pen: a GRU in both directions."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def sketches(n: int, length: int = 20) -> tuple[Tensor, Tensor]:
    corners = torch.randint(3, 7, (n, 1))
    angle = torch.linspace(0, 2 * math.pi, length + 1).expand(n, -1) + torch.rand(n, 1) * 6.28
    within = (angle * corners / (2 * math.pi)) % 1 - 0.5
    radius = torch.cos(math.pi / corners) / torch.cos(within * 2 * math.pi / corners)
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2) + 0.01 * torch.randn(n, length + 1, 2)
    return (points[:, 1:] - points[:, :-1]) / 0.2, corners.squeeze(1) - 3


class StrokeReader(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.pen = nn.GRU(2, width, batch_first=True, bidirectional=True)
        self.kind = nn.Linear(2 * width, 4)

    def forward(self, strokes: Tensor) -> Tensor:
        return self.kind(self.pen(strokes)[0].mean(dim=1))


model = StrokeReader()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-6 if args.fixed else 0.3)
losses, hits = [], []
for step in range(250):
    strokes, kind = sketches(64)
    answer = model(strokes)
    loss = F.cross_entropy(answer, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    hits.append((answer.argmax(1) == kind).float().mean().item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4f} right {sum(hits[-25:]) / 25:.3f}")
