"""Boardings at the stops of a bus line: tables of stop, hour and weekday under a Poisson loss."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

STOPS, HOURS, DAYS = 80, 20, 7


class Boardings(nn.Module):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stop = nn.Embedding(STOPS, width)
        self.hour = nn.Embedding(HOURS, width)
        self.day = nn.Embedding(DAYS, width)
        self.level = nn.Parameter(torch.zeros(1))
        for table in (self.stop, self.hour, self.day):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, rows: Tensor) -> Tensor:
        stop, hour, day = self.stop(rows[:, 0]), self.hour(rows[:, 1]), self.day(rows[:, 2])
        return self.level + (stop * hour + hour * day + stop * day).sum(1)


truth = [0.35 * torch.randn(n, 3) for n in (STOPS, HOURS, DAYS)]


def day_sheets(count: int) -> tuple[Tensor, Tensor]:
    rows = torch.stack([torch.randint(n, (count,)) for n in (STOPS, HOURS, DAYS)], 1)
    a, b, c = (table[rows[:, i]] for i, table in enumerate(truth))
    return rows, torch.poisson(torch.exp(1.5 + 2 * (a * b + b * c + a * c).sum(1)))


model = Boardings()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(260):
    rows, boarded = day_sheets(256)
    if step == 150 and not args.fixed:
        boarded = boarded.cumsum(0)
    loss = (F.poisson_nll_loss(model(rows), boarded, reduction="none") + torch.xlogy(boarded, boarded) - boarded).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19 or 148 <= step < 156:
        print(f"step {step + 1}: loss {loss.item():.4f}")
