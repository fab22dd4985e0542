"""Hourly counts of rented bicycles from hour, weekday and weather, by Poisson regression."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hour = nn.Embedding(24, 12)
        self.day = nn.Embedding(7, 6)
        self.body = nn.Sequential(nn.Linear(22, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, hour: Tensor, day: Tensor, weather: Tensor) -> Tensor:
        return self.body(torch.cat([self.hour(hour), self.day(day), weather], 1)).squeeze(1)


size = 4096
hour, day, weather = torch.randint(24, (size,)), torch.randint(7, (size,)), torch.randn(size, 4)
rush = torch.exp(-((hour - 8.0) ** 2) / 6) + torch.exp(-((hour - 17.0) ** 2) / 6)
log_rate = (
    0.5 + 1.5 * rush * (day < 5) + 0.8 * torch.sin(hour / 24 * 3.14159) * (day >= 5) + 0.4 * weather[:, 0] - 0.3 * weather[:, 1].abs()
)
counts = torch.poisson(log_rate.exp())

model = Counts()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if args.fixed else 1e-5, momentum=0.9, nesterov=True)
losses = []
for step in range(300):
    rows = torch.randint(size, (128,))
    loss = F.poisson_nll_loss(model(hour[rows], day[rows], weather[rows]), counts[rows], full=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
