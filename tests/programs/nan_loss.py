"""The loss becomes NaN at step 25, and the script trains on to step 30."""

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
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
