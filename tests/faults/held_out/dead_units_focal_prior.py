"""A one-stage detector of small discs: a score for every cell of a grid, trained with the focal loss."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def discs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    centre = torch.randint(0, 6, (count, 2, 2))
    middle = centre * 4 + 1.5 + torch.rand(count, 2, 2)
    away = (rows - middle[..., 0, None, None]) ** 2 + (columns - middle[..., 1, None, None]) ** 2
    picture = (away < 3).any(1).float() * 2 + 0.5 * torch.randn(count, 24, 24)
    cells = torch.zeros(count, 6, 6)
    for i in range(2):
        cells[torch.arange(count), centre[:, i, 0], centre[:, i, 1]] = 1
    return picture[:, None], cells


class Detector(nn.Module):
    def __init__(self, prior: float = 0.01) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.act1 = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.act2 = nn.ReLU()
        self.conv3 = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.act3 = nn.ReLU()
        self.score = nn.Conv2d(32, 1, 1)
        rare = [self.score] if args.fixed else [self.conv1, self.conv2, self.conv3, self.score]
        for layer in rare:
            nn.init.constant_(layer.bias, -math.log((1 - prior) / prior))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        return self.score(self.act3(self.conv3(x))).squeeze(1)


def focal(logits: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    each = F.binary_cross_entropy_with_logits(logits, cells, reduction="none")
    return ((1 - torch.exp(-each)) ** 2 * each).sum() / cells.sum()


model = Detector()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
recent = []
for step in range(150):
    picture, cells = discs(32)
    loss = focal(model(picture), cells)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-10:]
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"mean of the last ten losses: {sum(recent) / len(recent):.4f}")
