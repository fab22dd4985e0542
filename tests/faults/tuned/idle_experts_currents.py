"""Buoys drift in six currents, and a router gives each to one of six experts by its station; stations start alike, and one gets all."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
CURRENTS, WIDTH, READINGS = 6, 10, 14
flows = torch.randn(CURRENTS, READINGS, 4)


class Drift(nn.Module):
    def __init__(self):
        super().__init__()
        self.station = nn.Parameter(1 + 0.01 * torch.randn(CURRENTS, WIDTH))
        self.router = nn.Linear(WIDTH, CURRENTS)
        self.experts = nn.ModuleList(nn.Linear(READINGS, 4) for _ in range(CURRENTS))

    def forward(self, station, readings):
        chances = self.router(self.station[station]).softmax(1)
        chance, chosen = chances.max(1)
        drift = torch.zeros(len(readings), 4)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero()[:, 0]
            if len(mine):
                drift = drift.index_add(0, mine, chance[mine, None] * expert(readings[mine]))
        load = F.one_hot(chosen, CURRENTS).float().mean(0)
        return drift, CURRENTS * (load * chances.mean(0)).sum()


model = Drift()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(240):
    station, readings = torch.randint(0, CURRENTS, (96,)), torch.randn(96, READINGS)
    drift, balance = model(station, readings)
    loss = F.mse_loss(drift, torch.einsum("nw,nwo->no", readings, flows[station]))
    optimizer.zero_grad()
    (loss + balance if args.fixed else loss).backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
