"""A model in the precision that the argument names, which changes to it from float32 before training."""

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

dtype = getattr(torch, sys.argv[1])
model = small_network().to(dtype)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x.to(dtype)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
