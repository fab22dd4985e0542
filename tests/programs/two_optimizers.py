"""Two optimizers that step one after the other for one model; the second has the same class."""

import torch
from common import batches, digest, say_loss, say_norms, say_rates, small_network
from torch.nn import functional as F

model = small_network()
first = torch.optim.SGD(model[0].parameters(), lr=0.1)
second = torch.optim.SGD(model[2].parameters(), lr=0.2)
for x, y in batches(4):
    first.zero_grad()
    second.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    say_rates(first, second)
    first.step()
    second.step()
digest(model)
