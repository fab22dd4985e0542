"""A soft decision tree on digits, its inner nodes sigmoid gates, its leaves class scores."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

DEPTH = 5


class Tree(nn.Module):
    def __init__(self, steepness: float) -> None:
        super().__init__()
        self.steepness = steepness
        self.nodes = nn.Linear(64, 2**DEPTH - 1)
        self.gate = nn.Sigmoid()
        self.leaves = nn.Linear(2**DEPTH, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        right = self.gate(self.steepness * self.nodes(x.flatten(1)))
        paths = torch.ones_like(right[:, :1])
        for level in range(DEPTH):
            gates = right[:, 2**level - 1 : 2 ** (level + 1) - 1]
            paths = torch.stack([paths * (1 - gates), paths * gates], dim=2).flatten(1)
        return self.leaves(paths)


images, labels = digits.load()
train, test = slice(0, 1500), slice(1500, None)
tree = Tree(steepness=1.0 if args.fixed else 200.0)
optimizer = torch.optim.Adam(tree.parameters(), lr=0.02)
for epoch in range(10):
    for rows in torch.randperm(1500).split(64):
        loss = F.cross_entropy(tree(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = (tree(images[test]).argmax(dim=1) == labels[test]).float().mean()
    print(f"epoch {epoch}: accuracy {accuracy:.3f} loss {loss.item():.4g}")
