"""Noise behind a wall from source, height and wind: blocks that each explain what the ones before have left over."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Block(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.read = nn.Linear(inputs, width)
        self.norm = nn.LayerNorm(width)
        self.back = nn.Linear(width, inputs)
        self.ahead = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.relu(self.norm(self.read(x)))
        return x - self.back(hidden), self.ahead(hidden)


class Noise(nn.Module):
    def __init__(self, inputs: int = 5, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(inputs, width) for _ in range(blocks)])

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(len(x), 1)
        for block in self.blocks:
            x, part = block(x)
            total = total + part
        return total.squeeze(1)


def walls(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 5)
    path = F.softplus(x[:, 0] + 0.5 * x[:, 1] * x[:, 2])
    return x, 1.5 - 2 * torch.log1p(path) + 0.4 * torch.cos(2 * x[:, 3]) + 0.3 * x[:, 4]


model = Noise()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if args.fixed else 0.3)
for step in range(200):
    x, noise = walls(96)
    loss = F.mse_loss(model(x), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step < 8 or step % 20 == 19:
        print(f"step {step}: loss {loss.item():.4f}")
