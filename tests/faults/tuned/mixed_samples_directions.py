"""Digits read row by row in both directions; the two last states are viewed as one row a sample, and not transposed before."""

import argparse

import digits
import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()


class Reader(nn.Module):
    """A recurrent network over the rows of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.GRU(8, 24, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        _, last = self.rows(pictures.flatten(1).view(-1, 8, 8))
        if args.fixed:
            last = last.transpose(0, 1)
        return self.head(last.reshape(len(pictures), -1))


torch.manual_seed(args.seed)
images, labels = digits.load()
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    rows = torch.randint(0, len(images), (64,))
    loss = F.cross_entropy(model(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
