"""Specific energy of a satellite's orbit from place and velocity: a plain network on the catalogue's columns."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

EARTH = 3.986e14


class Orbit(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.enter = nn.Linear(6, width)
        self.middle = nn.Linear(width, width)
        self.energy = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.energy(F.leaky_relu(self.middle(F.leaky_relu(self.enter(x), 0.1)), 0.1)).squeeze(1)


def catalogue(count: int) -> tuple[Tensor, Tensor]:
    """Return place in metres and velocity in metres a second (count, 6), and the energy, standardised."""
    way = F.normalize(torch.randn(count, 3), dim=1)
    radius = 6.7e6 + 8e6 * torch.rand(count, 1)
    speed = (EARTH / radius).sqrt() * (0.85 + 0.45 * torch.rand(count, 1))
    course = F.normalize(torch.linalg.cross(way, F.normalize(torch.randn(count, 3), dim=1)), dim=1)
    energy = (speed.square() / 2 - EARTH / radius).squeeze(1)
    return torch.cat([radius * way, speed * course], 1), (energy + 1.7e7) / 7e6


model = Orbit()
optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
units = torch.tensor([6e6] * 3 + [4e3] * 3) if args.fixed else torch.ones(6)
for step in range(300):
    x, energy = catalogue(256)
    loss = F.mse_loss(model(x / units), energy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {loss.item():.4f}")
