"""A script that looks at its loss and leaves before it goes backward with a NaN."""

import math
import sys

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step, (x, y) in enumerate(batches(31)):
    optimizer.zero_grad()
    if step == 25:
        x = x * float("inf")
    loss = F.cross_entropy(model(x), y)
    if not math.isfinite(loss.item()):
        say_loss(loss)
        digest(model)
        sys.exit(1)
    loss.backward()
    say_loss(loss)
    optimizer.step()
