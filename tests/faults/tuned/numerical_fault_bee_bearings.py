"""Bearing in which a bee leaves the hive: direction and sharpness, under a von Mises likelihood."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class VonMises(nn.Module):
    """Negative log-likelihood of an angle; `sharpness` is the concentration."""

    def forward(self, centre: Tensor, sharpness: Tensor, angle: Tensor) -> Tensor:
        if args.fixed:
            normaliser = torch.log(torch.special.i0e(sharpness)) + sharpness
        else:
            normaliser = torch.log(torch.special.i0(sharpness))
        return (normaliser - sharpness * torch.cos(angle - centre)).mean()


class Bearing(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.way = nn.Linear(width, 2)
        self.log_sharpness = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        east, north = self.way(h).unbind(1)
        return torch.atan2(north, east), self.log_sharpness(h).squeeze(1).exp()


def dances(count: int) -> tuple[Tensor, Tensor]:
    sun, waggle = 6.2832 * torch.rand(2, count)
    x = torch.stack([sun.cos(), sun.sin(), waggle.cos(), waggle.sin(), torch.randn(count), torch.randn(count)], 1)
    return x, waggle + 0.4 * sun.cos() + 0.02 * torch.randn(count)


model = nn.ModuleDict({"bearing": Bearing(), "likelihood": VonMises()})
optimizer = torch.optim.NAdam(model.parameters(), lr=8e-3)
for step in range(260):
    x, angle = dances(256)
    loss = model["likelihood"](*model["bearing"](x), angle)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step + 1}: loss {loss.item():.4f}")
