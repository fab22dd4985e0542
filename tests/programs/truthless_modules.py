"""Modules that are false, that have no truth value, that cannot be compared or shown, and whose mode is fixed."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Experts(nn.Module):
    """A container of its own kind, empty at first: false."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 6) / 3)
        self.more = []

    def __len__(self):
        return len(self.more)

    def forward(self, x):
        return F.relu(x @ self.weight.T)


class Strict(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8) / 3)

    def __bool__(self):
        raise ValueError("a module is neither true nor false")

    def __eq__(self, other):
        raise TypeError("modules cannot be compared")

    __hash__ = nn.Module.__hash__

    def __repr__(self):
        raise ValueError("nothing to show")

    @property
    def training(self):
        return True

    @training.setter
    def training(self, mode):
        pass

    def forward(self, x):
        return x @ self.weight.T


model = nn.Sequential(Experts(), Strict())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    model.eval()
    with torch.no_grad():
        model(x)
    model.train()
digest(model)
