"""Estimates the weekly sales of a shop in euros from its surroundings, under autocast."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class SalesNet(nn.Module):
    def __init__(self, typical: float):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(14, 96), nn.SiLU(), nn.LayerNorm(96), nn.Linear(96, 96), nn.SiLU(), nn.LayerNorm(96))
        self.euros = nn.Linear(96, 1)
        nn.init.normal_(self.euros.weight, std=300.0)
        nn.init.constant_(self.euros.bias, typical)

    def forward(self, x: Tensor) -> Tensor:
        return self.euros(self.body(x))[:, 0]


mixing = torch.randn(14, 3)


def shops(n: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 14)
    h = torch.tanh(x @ mixing / 3)
    return x, 40_000 * torch.exp(0.5 * h[:, 0] + 0.4 * h[:, 1] * h[:, 2])


model = SalesNet(typical=42_000)
groups = [{"params": model.body.parameters(), "lr": 3e-3}, {"params": model.euros.parameters(), "lr": 150.0}]
optimizer = torch.optim.Adam(groups)
for step in range(200):
    x, euros = shops(128)
    with torch.autocast("cpu", dtype=torch.float16, enabled=not args.fixed):
        estimate = model(x)
    loss = ((estimate.float() - euros) / 10_000).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4f}")
