"""Modules that call each other as deep as the recursion limit lets them."""

import sys

import torch
from common import digest, say_loss
from torch import nn


class Tree(nn.Module):
    def __init__(self):
        super().__init__()
        self.join, self.leaf = nn.Linear(8, 4), nn.Embedding(5, 4)

    def forward(self, tree):
        if isinstance(tree, int):
            return self.leaf(torch.tensor([tree]))
        return torch.tanh(self.join(torch.cat([self(tree[0]), self(tree[1])], 1)))


tree = 1
for branch in range(225):
    tree = (tree, branch % 5)
model = Tree()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    loss = model(tree).sum()
    loss.backward()
    say_loss(loss)
    optimizer.step()
print("limit", sys.getrecursionlimit())
digest(model)
