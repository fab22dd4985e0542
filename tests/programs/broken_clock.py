"""A fault provoked where the recorder closes a step, or where it is told of an update."""

import sys

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

from bnprobe.observe.rows.delivery import Delivery
from bnprobe.observe.steps.step_clock import StepClock


def broken(*arguments, **keywords):
    raise ValueError("provoked")


if sys.argv[1] == "closing":
    Delivery.take = broken
else:
    StepClock.update_began = broken
model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
digest(model)
