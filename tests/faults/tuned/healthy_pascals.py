"""Pressure over a hill in pascals: the net's answer is scaled to the spread of the data, the loss counts squared pascals."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

BATCH, STEPS, SPREAD, MEAN = 96, 250, 2500.0, 98_000.0


def stations() -> tuple[Tensor, Tensor]:
    at = torch.rand(BATCH, 3) * 2 - 1
    bump = torch.exp(-1.5 * (at[:, 0] ** 2 + at[:, 1] ** 2)) + 0.5 * torch.sin(2 * at[:, 2]) * at[:, 0]
    return at.to(device), (MEAN + 5000 * bump).to(device)


class Pressure(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, width), nn.Mish(), nn.Linear(width, width), nn.Mish(), nn.Linear(width, 1))

    def forward(self, at: Tensor) -> Tensor:
        return MEAN + SPREAD * self.body(at).squeeze(1)


model = Pressure().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
total = 0.0
for step in range(1, STEPS + 1):
    at, pressure = stations()
    loss = F.mse_loss(model(at), pressure)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 0:
        print(f"step {step}: loss {total / 25:.1f}")
        total = 0.0
