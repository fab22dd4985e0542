"""A script that watches what else goes on once it trains: what is imported, what is asked of its modules, how many files are open."""

import os
import sys

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Finder:
    def find_spec(self, name, path=None, target=None):
        seen.append(f"import {name}")


def watching(module, name):
    seen.append(name)
    return ask(module, name)


seen = []
model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
ask = nn.Module.__getattr__
for x, y in batches(5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    say_loss(loss)
    nn.Module.__getattr__ = ask
    say_norms(model)
    print(seen, len(os.listdir("/proc/self/fd")))
    nn.Module.__getattr__ = watching
    if not any(isinstance(one, Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, Finder())  # what the first step needed is there
nn.Module.__getattr__ = ask
digest(model)
