"""Forecasts the direction of the wind from the pressures at five stations; a calm hour has no wind and points nowhere."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
HOURS, CALM_FROM = 4800, 2900
slope = torch.tensor([[1.0, -0.6, 0.2, -0.9, 0.3], [0.1, 0.8, -1.0, -0.3, 0.5]])
pressure = torch.randn(HOURS, 5)
wind = pressure @ slope.T + 0.2 * torch.sin(3 * pressure[:, :2])
blowing = torch.ones(HOURS, 1)
blowing[CALM_FROM::37] = 0.0
direction = F.normalize(wind, dim=1)


class Compass(nn.Module):
    def forward(self, wind: Tensor) -> Tensor:
        if args.fixed:
            return F.normalize(wind, dim=1)
        return wind / wind.square().sum(dim=1, keepdim=True).sqrt()


class Forecast(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, width), nn.Softplus(), nn.Linear(width, width), nn.Softplus(), nn.Linear(width, 2))
        self.compass = Compass()

    def forward(self, pressure: Tensor, blowing: Tensor) -> Tensor:
        return self.compass(self.body(pressure) * blowing)


model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step, start in enumerate(range(0, HOURS, 40)):
    hours = slice(start, start + 40)
    agreement = (model(pressure[hours], blowing[hours]) * direction[hours]).sum(dim=1)
    loss = ((1 - agreement) * blowing[hours, 0]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step + 1}: loss {loss.item():.4f}")
