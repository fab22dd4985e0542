"""Two losses sent backward through one graph, one after the other."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    logits = model(x)
    first, second = F.cross_entropy(logits, y), logits.square().mean()
    first.backward(retain_graph=True)
    second.backward()
    say_loss(first, second)
    say_norms(model)
    optimizer.step()
digest(model)
