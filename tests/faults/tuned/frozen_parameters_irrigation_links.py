"""Moisture of connected fields: learned links between the fields, then one small network for all of them."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

FIELDS = 16


class Links(nn.Module):
    """How much of every other field's water reaches a field."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(0.1 * torch.randn(FIELDS, FIELDS))

    def forward(self, water: Tensor) -> Tensor:
        logits = self.logits if args.fixed else self.logits.data
        return torch.einsum("ij,bj->bi", torch.softmax(logits, 1), water)


class Moisture(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.links = Links()
        self.enter = nn.Parameter(torch.randn(2, width))
        self.shift = nn.Parameter(torch.randn(width))
        self.leave = nn.Parameter(torch.randn(width, 1) / width**0.5)

    def forward(self, water: Tensor) -> Tensor:
        both = torch.stack([water, self.links(water)], 2)
        return (torch.tanh(both @ self.enter + self.shift) @ self.leave).squeeze(2)


canals = torch.softmax(4 * torch.randn(FIELDS, FIELDS), 1)


def seasons(count: int) -> tuple[Tensor, Tensor]:
    water = torch.randn(count, FIELDS)
    return water, torch.tanh(2 * water @ canals.T) + 0.3 * water


model = Moisture()
optimizer = torch.optim.Adam(
    [{"params": [model.links.logits], "lr": 0.05}, {"params": [model.enter, model.shift, model.leave], "lr": 0.01}],
)
total = 0.0
for step in range(300):
    water, moisture = seasons(64)
    loss = F.mse_loss(model(water), moisture)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {total / 30:.4f}")
        total = 0.0
