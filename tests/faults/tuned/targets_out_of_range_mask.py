"""A segmentation whose masks hold 255 for the foreground."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 1, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
grid = torch.arange(16.0)
for step in range(150):
    centre = 4 + 8 * torch.rand(24, 2, 1, 1)
    inside = (grid[:, None] - centre[:, 0]) ** 2 + (grid - centre[:, 1]) ** 2 < 12
    mask = 255.0 * inside[:, None].float()
    picture = mask / 255 + 0.4 * torch.randn(24, 1, 16, 16)
    loss = F.binary_cross_entropy_with_logits(model(picture), mask / 255 if args.fixed else mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
