"""A generator that is also sampled with gradients, outside the training: the samples are no part of the batch."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    model(torch.zeros(50, 6))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
