"""Ended from outside after some steps; the script's own ``except Exception`` and ``finally`` see nothing odd."""

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
try:
    for x, y in batches(6):
        try:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        except Exception as error:
            print("caught", error)
finally:
    print("cleaned up")
digest(model)
