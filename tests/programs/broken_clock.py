"""A fault provoked where the recorder closes a step."""

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

import bnprobe.observe.recorder as recorder


def broken(*arguments):
    raise ValueError("provoked")


recorder.Delivery.take = broken
model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
digest(model)
