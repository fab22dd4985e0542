"""A loss with a graph of 50,000 operations, one behind the other, which is let go of after each step."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(2):
    optimizer.zero_grad()
    penalty = model[0].bias.square().sum()
    for _ in range(50_000):
        penalty = penalty * 0.9999
    loss = F.cross_entropy(model(x), y) + penalty
    loss.backward()
    say_loss(loss)
    optimizer.step()
    del loss, penalty
digest(model)
