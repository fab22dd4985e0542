"""A model converted to float64 after two steps, with the same optimizer."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(4)):
    if step == 2:
        model.double()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x.to(model[0].weight.dtype)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
