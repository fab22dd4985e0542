"""Fits an image-like field by a network of sines."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


def field(points: Tensor) -> Tensor:
    x, y = points[:, :1], points[:, 1:]
    return torch.sin(3 * x) * torch.cos(4 * y) + 0.5 * torch.exp(-8 * ((x - 0.3) ** 2 + (y + 0.2) ** 2))


width, depth = 64, 7
layers: list[nn.Module] = []
for i in range(depth):
    linear = nn.Linear(2 if i == 0 else width, width)
    # Sines of unit-variance arguments have a variance of about a half: sqrt(6 / n) keeps the gradients' size.
    bound = math.sqrt(6 / width) if args.fixed else 5 * math.sqrt(6 / width)
    if i == 0:
        nn.init.uniform_(linear.weight, -3.0, 3.0)
    else:
        nn.init.uniform_(linear.weight, -bound, bound)
    layers += [linear, Sine()]
model = nn.Sequential(*layers, nn.Linear(width, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(250):
    points = 2 * torch.rand(256, 2) - 1
    loss = nn.functional.mse_loss(model(points), field(points))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step + 1}: {loss.item():.5f}")
