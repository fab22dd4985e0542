"""Fits the air pressure (in pascal) over a hilly region from place and height, in mixed precision."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def stations(n: int) -> tuple[Tensor, Tensor]:
    place, height = torch.rand(n, 2) * 2 - 1, 2500 * torch.rand(n, 1) ** 2
    weather = 1500 * torch.sin(2 * place[:, :1]) * torch.cos(3 * place[:, 1:])
    pressure = (101325 + weather) * torch.exp(-height / 8400)
    return torch.cat([place, height / 1000 - 0.8], 1), pressure + 30 * torch.randn(n, 1)


class ToPascal(nn.Module):
    """From the standardised value of the net to a pressure."""

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.mean, self.deviation = mean, deviation

    def forward(self, value: Tensor) -> Tensor:
        if args.fixed:
            value = value.float()
        return value * self.deviation + self.mean


model = nn.Sequential(nn.Linear(3, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1), ToPascal(92000.0, 8000.0))
optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
for step in range(200):
    features, pressure = stations(128)
    with torch.autocast("cpu", dtype=torch.float16):
        predicted = model(features)
    loss = F.smooth_l1_loss(predicted.float() / 1000, pressure / 1000)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
