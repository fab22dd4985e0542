"""Reads the tilt of a galaxy from a noisy picture: a convolutional network that answers with the cosine and sine of twice the angle."""

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


def galaxies(n: int, side: int = 16) -> tuple[Tensor, Tensor]:
    angle = torch.rand(n, 1, 1) * math.pi
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    along = columns * angle.cos() + rows * angle.sin()
    across = rows * angle.cos() - columns * angle.sin()
    light = torch.exp(-(along**2) / 0.3 - across**2 / 0.04)
    picture = (light - 0.15) / 0.25 + 0.3 * torch.randn(n, side, side)
    double = 2 * angle.reshape(n, 1)
    return picture.unsqueeze(1), torch.cat([double.cos(), double.sin()], dim=1)


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1),
    nn.GroupNorm(4, 16),
    nn.SiLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.GroupNorm(4, 32),
    nn.SiLU(),
    nn.Flatten(),
    nn.Linear(512, 64),
    nn.SiLU(),
    nn.Linear(64, 2),
)
optimizer = torch.optim.NAdam(model.parameters(), lr=1e-3 if args.fixed else 1e-6)
for step in range(220):
    picture, tilt = galaxies(64)
    loss = F.mse_loss(model(picture), tilt)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 20 == 0 or step == 219:
        print(f"step {step}: loss {loss.item():.4f}")
