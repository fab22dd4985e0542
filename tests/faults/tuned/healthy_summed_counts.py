"""Counts of visits per hour: a Poisson likelihood summed over the batch and the day, with a rate to match."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

HOURS = 24


class Visits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shop = nn.Embedding(30, 8)
        self.body = nn.Sequential(nn.Linear(12, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
        self.hours = nn.Linear(64, HOURS)

    def forward(self, shop: Tensor, weather: Tensor) -> Tensor:
        return 3.0 + self.hours(self.body(torch.cat([self.shop(shop), weather], dim=1)))


shop, weather = torch.randint(30, (3000,)), torch.randn(3000, 4)
busy = torch.linspace(-0.7, 0.7, 30)[shop, None]
hour = torch.arange(HOURS)[None]
intensity = torch.exp(3.0 + busy + 0.8 * torch.sin(hour / 3.8 - 1.5 + busy) + 0.3 * weather[:, :1] * torch.cos(hour / 4))
visits = torch.poisson(intensity)

model = Visits()
likelihood = nn.PoissonNLLLoss(log_input=True, reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=2e-6, momentum=0.9)
for step in range(250):
    rows = torch.randint(3000, (128,))
    loss = likelihood(model(shop[rows], weather[rows]), visits[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        best = likelihood(intensity[rows].log(), visits[rows])
        print(f"step {step}: loss {loss.item():.6g} above the truth {loss.item() - best.item():.4g}")
