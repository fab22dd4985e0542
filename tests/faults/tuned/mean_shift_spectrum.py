"""Estimates two peak positions from non-negative spectra with a network of non-negative weights."""

import argparse
import itertools

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
channels = torch.linspace(0, 1, 40)


def spectra(n: int) -> tuple[Tensor, Tensor]:
    places = 0.1 + 0.8 * torch.rand(n, 2)
    places = places.sort(dim=1).values
    peaks = torch.exp(-(((channels[None, None] - places[:, :, None]) / 0.06) ** 2))
    counts = peaks.sum(dim=1) + 0.05 * torch.randn(n, 40)
    return (counts - 0.26) / 0.38, (places - 0.5) / 0.25


class Estimator(nn.Module):
    def __init__(self, width: int = 64, depth: int = 6) -> None:
        super().__init__()
        sizes = [40] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.act = nn.ELU()
        self.read = nn.Linear(width, 2)
        for layer in self.layers:
            bound = (3.0 / layer.in_features) ** 0.5
            if args.fixed:
                nn.init.uniform_(layer.weight, -bound, bound)
            else:
                nn.init.uniform_(layer.weight, 0.0, 2.5 / layer.in_features)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return self.read(x)


model = Estimator()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(150):
    x, target = spectra(64)
    loss = nn.functional.smooth_l1_loss(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (step + 1) % 30 == 0:
        print(f"step {step + 1}: loss {loss.item():.4f}")
