"""Short recordings are embedded so that two takes of one song lie close together."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


SONGS, LENGTH = 60, 64
songs = torch.randn(SONGS, 4, LENGTH // 4).repeat_interleave(4, dim=2)


def takes(rows: Tensor) -> Tensor:
    return songs[rows] + 0.7 * torch.randn(len(rows), 4, LENGTH)


class Ear(nn.Module):
    def __init__(self, width: int = 32):
        super().__init__()
        self.conv1 = nn.Conv1d(4, width, 8, stride=4)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2)
        self.norm = nn.GroupNorm(4, width)
        self.out = nn.Linear(width * 7, 24)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv1(x))
        x = F.silu(self.norm(self.conv2(x)))
        return F.normalize(self.out(x.flatten(1)), dim=1)


model = Ear()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0 if args.fixed else 0.001)
for step in range(150):
    rows = torch.randperm(SONGS)[:32]
    likeness = model(takes(rows)) @ model(takes(rows)).T / 0.1
    loss = F.cross_entropy(likeness, torch.arange(32))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step}: loss {loss.item():.4f}")
