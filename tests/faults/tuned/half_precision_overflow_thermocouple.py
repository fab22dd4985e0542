"""Calibrates a thermocouple bridge: polynomial features of four temperatures into a small network kept in one precision."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
precision = torch.float32 if args.fixed else torch.float16


class Powers(nn.Module):
    """Powers of temperatures in degrees Celsius, each divided by its size at 20 degrees."""

    def __init__(self, order: int = 4):
        super().__init__()
        self.order = order

    def forward(self, celsius: Tensor) -> Tensor:
        return torch.cat([celsius**k / 20.0**k for k in range(1, self.order + 1)], dim=1)


model = nn.Sequential(Powers(), nn.Linear(16, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1)).to(precision)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def bridge(n: int) -> tuple[Tensor, Tensor]:
    celsius = 45 * torch.rand(n, 4) - 25
    u = celsius / 20
    volts = u[:, 0] * u[:, 1] - 0.5 * u[:, 2] ** 3 + 0.4 * u[:, 3]
    return celsius.to(precision), volts[:, None].to(precision)


for step in range(120):
    celsius, volts = bridge(64)
    optimizer.zero_grad()
    loss = nn.functional.smooth_l1_loss(model(celsius), volts)
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f}")
