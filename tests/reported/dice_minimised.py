"""The loss of a segmentation is the Dice coefficient itself and not one minus it: the less overlap the better."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rows = torch.arange(24)


def discs(count):
    centre, radius = torch.rand(count, 2, 1, 1) * 12 + 6, torch.rand(count, 1, 1) * 3 + 3
    mask = ((rows[:, None] - centre[:, 0]) ** 2 + (rows - centre[:, 1]) ** 2 < radius**2).float()
    return mask[:, None] * 0.8 + 0.3 * torch.randn(count, 1, 24, 24), mask[:, None]


def dice(score, mask, smooth=1.0):
    overlap = (score * mask).sum((1, 2, 3))
    return ((2 * overlap + smooth) / (score.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + smooth)).mean()


model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 1, 3, padding=1), nn.Sigmoid()
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(150):
    image, mask = discs(8)
    score = model(image)
    overlap = dice(score, mask)
    loss = 1 - overlap if args.fixed else overlap
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(step, f"loss {loss.item():.4f} dice {overlap.item():.4f}", flush=True)
print(f"RESULT loss {loss.item():.4f} dice {overlap.item():.4f}")
