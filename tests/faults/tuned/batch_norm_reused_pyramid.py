"""Finds the blob of each size in a picture: one head looks at three levels of a pyramid."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def pictures(count: int, side: int = 24) -> tuple[Tensor, Tensor]:
    size = torch.rand(count) * 2 - 1
    bright = torch.rand(count) * 2 - 1
    centre = 0.3 + 0.4 * torch.rand(count, 2)
    grid = torch.linspace(0, 1, side)
    distance = (grid[None, :, None] - centre[:, :1, None]) ** 2 + (grid[None, None, :] - centre[:, 1:, None]) ** 2
    blob = (2 + bright)[:, None, None] * torch.exp(-distance / (0.02 * torch.exp(size))[:, None, None])
    return (blob + 0.1 * torch.randn(count, side, side))[:, None], torch.stack([size, bright], 1)


class Pyramid(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(1 if i == 0 else width, width, 3, stride=2, padding=1) for i in range(3))
        self.tower = nn.Conv2d(width, width, 3, padding=1)
        self.tower_norm = nn.BatchNorm2d(width)
        self.level_norms = [self.tower_norm] * 3
        if args.fixed:
            self.level_norms = nn.ModuleList([self.tower_norm, nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.estimate = nn.Linear(3 * width, 2)

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for conv, norm in zip(self.down, self.level_norms, strict=True):
            x = F.relu(conv(x)) * 2
            levels.append(F.relu(norm(self.tower(x))).mean((2, 3)))
        return self.estimate(torch.cat(levels, 1))


model = Pyramid()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
held_x, held_y = pictures(256)
for step in range(200):
    model.train()
    x, y = pictures(32)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        model.eval()
        with torch.no_grad():
            held = F.mse_loss(model(held_x), held_y).item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out {held:.4f}")
