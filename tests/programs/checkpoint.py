"""Activation checkpointing: argument "none", "reentrant" or "plain". Whichever it is, the recording must be the same."""

import sys

import torch
from common import batches, digest, say_norms
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.act = nn.Tanh()

    def forward(self, x):
        return x + self.act(self.norm(self.fc(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(6, 6)
        self.blocks = nn.ModuleList([Block(), Block(), Block()])
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x) if sys.argv[1] == "none" else checkpoint(block, x, use_reentrant=sys.argv[1] == "reentrant")
        return self.head(x)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    for part, target in ((x[:4], y[:4]), (x[4:], y[4:])):
        loss = F.cross_entropy(model(part), target)
        loss.backward()
    say_norms(model)
    optimizer.step()
digest(model)
