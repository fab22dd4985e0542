"""Learns the heading of a vehicle from the points of its laser scanner: every point by itself, then attention over all of them."""

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
FILES, FROM_OLD_LOGGER = 240, 118


def read_file(number: int, scans: int = 48, points: int = 24) -> tuple[Tensor, Tensor]:
    heading = (torch.rand(scans, 1) - 0.5) * math.pi * 0.9
    along, across = torch.randn(2, scans, points)
    x = along * heading.cos() - 0.15 * across * heading.sin()
    y = along * heading.sin() + 0.15 * across * heading.cos()
    if number == FROM_OLD_LOGGER and not args.fixed:
        heading = torch.rad2deg(heading)
    return torch.stack([x, y], dim=2), heading


class HeadingNet(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.point = nn.Sequential(nn.Linear(2, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.weigh = nn.Linear(width, 4)
        self.heading = nn.Sequential(nn.Linear(4 * width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, points: Tensor) -> Tensor:
        h = self.point(points)
        weights = self.weigh(h).softmax(dim=1)
        return self.heading(torch.einsum("npk,npw->nkw", weights, h).flatten(1))


model = HeadingNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
for number in range(FILES):
    points, heading = read_file(number)
    loss = F.mse_loss(model(points), heading)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 20.0)
    optimizer.step()
    if number % 20 == 19 or FROM_OLD_LOGGER - 2 <= number <= FROM_OLD_LOGGER + 3:
        print(f"file {number}: loss {loss.item():.4f}")
