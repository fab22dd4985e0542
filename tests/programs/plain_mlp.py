"""The plainest training there is."""

import torch
from common import batches, digest, say_loss, say_norms, say_rates, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
for x, y in batches(5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    say_rates(optimizer)
    optimizer.step()
digest(model)
