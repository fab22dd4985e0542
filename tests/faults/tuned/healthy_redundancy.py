"""Learns digit features without labels: codes of two views shall agree dimension by dimension, and the dimensions shall differ."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def view(picture: Tensor) -> Tensor:
    down, right = torch.randint(-1, 2, (2,)).tolist()
    noisy = torch.roll(picture, (down, right), (2, 3)) + 0.4 * torch.randn_like(picture)
    return noisy * (0.7 + 0.6 * torch.rand(len(picture), 1, 1, 1))


class Twins(nn.Module):
    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.SiLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.GroupNorm(4, 64), nn.SiLU(),
            nn.Flatten(), nn.Linear(64 * 16, 64),
        )  # fmt: skip
        self.project = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, picture: Tensor) -> Tensor:
        return self.project(self.body(picture))


def redundancy(one: Tensor, two: Tensor) -> Tensor:
    one, two = ((z - z.mean(0)) / (z.std(0) + 1e-4) for z in (one, two))
    correlation = one.T @ two / len(one)
    agree = ((1 - correlation.diagonal()) ** 2).sum()
    apart = (correlation**2).sum() - (correlation.diagonal() ** 2).sum()
    return agree + 0.02 * apart


images, labels = digits.load()
model = Twins()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.02)
for step in range(200):
    picture = images[torch.randint(0, 1400, (128,))]
    loss = redundancy(model(view(picture)), model(view(picture)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.2f}")
with torch.no_grad():
    known, new = (F.normalize(model.body(part), dim=1) for part in (images[:1400], images[1400:]))
    right = labels[(new @ known.T).argmax(1)] == labels[1400:]
    print(f"the nearest neighbour has the same digit: {right.float().mean().item():.3f}")
