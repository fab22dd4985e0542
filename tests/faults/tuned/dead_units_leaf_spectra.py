"""Chlorophyll and water in a leaf from its reflectance in fifty bands: three dense layers with the weights drawn by hand."""

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


def draw(weight: Tensor) -> None:
    """Uniform weights for rectified units."""
    bound = math.sqrt(6 / weight.shape[1])
    with torch.no_grad():
        weight.copy_(torch.rand_like(weight) * (2 * bound if args.fixed else bound) - bound)


class Leaf(nn.Module):
    def __init__(self, bands: int = 50, width: int = 64) -> None:
        super().__init__()
        self.bands = nn.Linear(bands, width)
        self.rectify1 = nn.ReLU()
        self.mix = nn.Linear(width, width)
        self.rectify2 = nn.ReLU()
        self.contents = nn.Linear(width, 2)
        for layer in (self.bands, self.mix):
            draw(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.contents(self.rectify2(self.mix(self.rectify1(self.bands(x)))))


band = torch.linspace(0, 1, 50)
green, water = torch.exp(-(((band - 0.3) / 0.12) ** 2)), torch.exp(-(((band - 0.75) / 0.1) ** 2))


def leaves(count: int) -> tuple[Tensor, Tensor]:
    """Return spectra, standardised band by band, and both contents from -1 to 1."""
    contents = torch.rand(count, 2)
    spectrum = torch.exp(-2 * contents[:, :1] * green - 1.5 * contents[:, 1:] * water) * (0.9 + 0.2 * torch.rand(count, 1))
    spectrum = spectrum + 0.02 * torch.randn(count, 50)
    return (spectrum - spectrum.mean(0)) / spectrum.std(0), 2 * contents - 1


model = Leaf()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(200):
    x, contents = leaves(96)
    loss = F.mse_loss(model(x), contents)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
