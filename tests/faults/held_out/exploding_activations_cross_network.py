"""Clicks on adverts from sparse fields by a deep cross network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

FIELDS, VALUES, WIDTH = 6, 20, 8


class Cross(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        nn.init.normal_(self.linear.weight, std=0.3 * width**-0.5 if args.fixed else 1.0)
        nn.init.zeros_(self.linear.bias)

    def forward(self, first: Tensor, current: Tensor) -> Tensor:
        return first * self.linear(current) + current


class Clicks(nn.Module):
    def __init__(self, depth: int = 6) -> None:
        super().__init__()
        self.table = nn.Embedding(FIELDS * VALUES, WIDTH)
        self.crosses = nn.ModuleList(Cross(FIELDS * WIDTH) for _ in range(depth))
        self.out = nn.Linear(FIELDS * WIDTH, 1)

    def forward(self, fields: Tensor) -> Tensor:
        first = self.table(fields + torch.arange(FIELDS) * VALUES).flatten(1)
        current = first
        for cross in self.crosses:
            current = cross(first, current)
        return self.out(current).squeeze(1)


taste = torch.randn(FIELDS, VALUES, 3)


def batch(size: int) -> tuple[Tensor, Tensor]:
    fields = torch.randint(VALUES, (size, FIELDS))
    factors = taste[torch.arange(FIELDS), fields]
    score = (factors.sum(1) ** 2).sum(1) - (factors**2).sum((1, 2)) + 3 * factors[:, :, 0].sum(1)
    return fields, (score > 0).float()


model = Clicks()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for step in range(300):
    fields, clicked = batch(256)
    loss = F.binary_cross_entropy_with_logits(model(fields), clicked)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
