"""Forecasts the load of a network one day ahead, week after week in the order of time."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HOURS, HISTORY = 24, 72
BATCHES, SIZE = 180, 24


def load_curves(glitch: bool) -> Tensor:
    """Load by sensor and hour, for many days; some meters were read in other units for one afternoon."""
    days = 4 + BATCHES
    time = torch.arange(days * HOURS, dtype=torch.float32)
    phase = 24 * torch.rand(SIZE, 1)
    swing = 0.6 + 0.4 * torch.rand(SIZE, 1)
    curve = swing * torch.sin(2 * torch.pi * (time + phase) / 24) + 0.4 * torch.sin(2 * torch.pi * time / 168)
    curve = curve + 0.1 * torch.randn(SIZE, len(time))
    if glitch:
        curve[:8, 107 * HOURS + 13 : 107 * HOURS + 18] *= 40
    return curve


class Forecaster(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv1d(1, 24, 6, stride=2)
        self.far = nn.Conv1d(24, 32, 6, stride=2)
        self.mix = nn.Linear(32 * 15, 64)
        self.forecast = nn.Linear(64, HOURS)

    def forward(self, history: Tensor) -> Tensor:
        h = F.relu(self.near(history.unsqueeze(1)))
        h = F.relu(self.far(h)).flatten(1)
        return self.forecast(F.relu(self.mix(h)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    curves = load_curves(glitch=not args.fixed)
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    recent = []
    for day in range(BATCHES):
        now = day * HOURS + HISTORY
        loss = F.mse_loss(model(curves[:, now - HISTORY : now]), curves[:, now : now + HOURS])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(loss.item())
        if len(recent) == 10:
            print(f"day {day}: mean loss {sum(recent) / 10:.4f}, worst {max(recent):.4f}")
            recent.clear()
