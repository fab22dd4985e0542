"""A trial backward before the optimizer is built."""

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

model = small_network()
((x, y),) = batches(1)
F.cross_entropy(model(x), y).backward()
model.zero_grad()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
digest(model)
