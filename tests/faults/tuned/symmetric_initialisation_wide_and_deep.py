"""Hourly rents of bicycles from a table: a wide linear part for the single columns and a deep part for what they do together."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def hours(count: int) -> tuple[Tensor, Tensor, Tensor]:
    hour, weekday = torch.randint(24, (count,)), torch.randint(7, (count,))
    weather = torch.randn(count, 3)
    work = (weekday < 5).float()
    commute = torch.exp(-(((hour - 8.0) / 1.5) ** 2)) + torch.exp(-(((hour - 17.0) / 2.0) ** 2))
    outing = torch.exp(-(((hour - 14.0) / 3.5) ** 2))
    dry = torch.sigmoid(-2 * weather[:, 0])
    rents = 2 * work * commute + 2 * (1 - work) * outing * dry + torch.tanh(weather[:, 1] * weather[:, 2]) + 0.1 * torch.randn(count)
    turn = 2 * math.pi * hour / 24
    columns = torch.stack([turn.sin(), turn.cos(), (2 * turn).sin(), (2 * turn).cos(), work * 2 - 1], 1)
    return torch.cat([columns, weather], 1), weekday, rents - 0.8


class WideAndDeep(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.weekday = nn.Embedding(7, 4)
        self.wide = nn.Linear(8, 1)
        self.deep1 = nn.Linear(12, width)
        self.deep2 = nn.Linear(width, width)
        self.deep3 = nn.Linear(width, 1)
        if not args.fixed:
            for layer in (self.deep1, self.deep2, self.deep3):
                nn.init.constant_(layer.weight, 1 / layer.in_features)
                nn.init.zeros_(layer.bias)

    def forward(self, columns: Tensor, weekday: Tensor) -> Tensor:
        h = torch.cat([columns, self.weekday(weekday)], 1)
        h = torch.relu(self.deep1(h))
        h = torch.relu(self.deep2(h))
        return (self.wide(columns) + self.deep3(h)).squeeze(1)


model = WideAndDeep().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(300):
    columns, weekday, rents = hours(128)
    loss = nn.functional.smooth_l1_loss(model(columns.to(device), weekday.to(device)), rents.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
