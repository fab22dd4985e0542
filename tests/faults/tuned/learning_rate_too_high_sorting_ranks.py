"""An attention encoder that tells for every number of a shuffled list its place in the sorted list."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
LENGTH = 8


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor) -> Tensor:
        z = self.norm1(h)
        h = h + self.attention(z, z, z, need_weights=False)[0]
        return h + self.feed(self.norm2(h))


class Sorter(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.lift = nn.Linear(1, width)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(2)))
        self.norm = nn.LayerNorm(width)
        self.place = nn.Linear(width, LENGTH)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.place(self.norm(self.blocks(self.lift(numbers.unsqueeze(-1)))))


model = Sorter()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 if args.fixed else 0.1)
for step in range(160):
    numbers = torch.randn(64, LENGTH)
    places = numbers.argsort(dim=1).argsort(dim=1)
    loss = F.cross_entropy(model(numbers).flatten(0, 1), places.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f}")
