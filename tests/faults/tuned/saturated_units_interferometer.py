"""Estimates the fringe signal of an interferometer from forty noisy detector channels."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
MIXTURE = F.normalize(torch.randn(40, 1), dim=0)


def measurements(n: int) -> tuple[Tensor, Tensor]:
    channels = torch.randn(n, 40)
    return channels, torch.sin(1.5 * channels @ MIXTURE) + 0.05 * torch.randn(n, 1)


class Estimator(nn.Module):
    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(40, width), nn.Linear(width, width)
        self.bend1, self.bend2 = nn.Tanh(), nn.Tanh()
        self.out = nn.Linear(width, 1)
        if not args.fixed:
            for layer in (self.first, self.second):
                nn.init.normal_(layer.weight, std=2.0)

    def forward(self, channels: Tensor) -> Tensor:
        h = self.bend1(self.first(channels))
        return self.out(self.bend2(self.second(h)))


model = Estimator()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    channels, fringe = measurements(256)
    loss = F.mse_loss(model(channels), fringe)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: squared error {loss.item():.4f}")
