"""A sinusoidal representation network learns a picture and is judged between the pixels it saw."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Sine(nn.Module):
    def __init__(self, ins: int, outs: int, omega: float, first: bool = False) -> None:
        super().__init__()
        self.omega = omega
        self.linear = nn.Linear(ins, outs)
        bound = 1 / ins if first else (6 / ins) ** 0.5 / omega
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.omega * self.linear(x))


def brightness(at: torch.Tensor) -> torch.Tensor:
    x, y = at[:, :1], at[:, 1:]
    return torch.sin(7 * x + 3 * y**2) * torch.exp(-(x**2)) + 0.5 * torch.tanh(20 * (x * x + y * y - 0.4))


side = torch.linspace(-1, 1, 48)
points = torch.cartesian_prod(side, side)
model = nn.Sequential(Sine(2, 64, 15.0, True), Sine(64, 64, 30.0), Sine(64, 64, 30.0), nn.Linear(64, 1))
nn.init.uniform_(model[3].weight, -((6 / 64) ** 0.5) / 30, (6 / 64) ** 0.5 / 30)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
for step in range(300):
    rows = torch.randint(0, len(points), (256,))
    loss = F.mse_loss(model(points[rows]), brightness(points[rows]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.5f}")
with torch.no_grad():
    between = torch.rand(2000, 2) * 2 - 1
    error = F.mse_loss(model(between), brightness(between)) / brightness(between).var()
print(f"share of the variance missed between the pixels: {error.item():.4f}")
