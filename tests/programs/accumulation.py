"""Four backward calls a step; the batches of a step count together."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    losses = []
    for x, y in batches(4):
        loss = F.cross_entropy(model(x), y) / 4
        loss.backward()
        losses.append(loss)
    say_loss(*losses)
    say_norms(model)
    optimizer.step()
digest(model)
