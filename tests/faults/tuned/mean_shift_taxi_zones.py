"""A graph network forecasts taxi demand of city zones from the demand of the last hours."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


ZONES, HOURS = 40, 12
places = torch.rand(ZONES, 2)
near = torch.exp(-torch.cdist(places, places).square() / 0.02)
near = near / near.sum(1, keepdim=True)


class Spread(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        if args.fixed:
            weight = torch.randn(2 * inputs, outputs) / inputs**0.5
        else:
            weight = torch.rand(2 * inputs, outputs) / inputs
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs) if args.fixed else 0.5 * torch.rand(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, near @ x], dim=-1) @ self.weight + self.bias


class Demand(nn.Module):
    def __init__(self, width: int = 48, depth: int = 6):
        super().__init__()
        self.spreads = nn.ModuleList(Spread(HOURS if i == 0 else width, width) for i in range(depth))
        self.acts = nn.ModuleList(nn.LeakyReLU(0.3) for _ in range(depth))
        self.next = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        for spread, act in zip(self.spreads, self.acts, strict=True):
            x = act(spread(x))
        return self.next(x).squeeze(-1)


def city(n: int) -> tuple[Tensor, Tensor]:
    """Waves of demand that travel over the map."""
    direction = F.normalize(torch.randn(n, 2), dim=1)
    phase = 6.28 * torch.rand(n, 1, 1)
    hours = torch.arange(HOURS + 1) * 0.5
    demand = torch.sin(4 * (places @ direction.T).T.unsqueeze(-1) - hours + phase)
    demand = demand + 0.1 * torch.randn_like(demand)
    return demand[..., :-1], demand[..., -1]


model = Demand()
optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
for step in range(150):
    x, y = city(16)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step}: loss {loss.item():.4f}")
