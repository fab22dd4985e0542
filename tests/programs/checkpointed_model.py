"""The whole model under one reentrant checkpoint: that is no evaluation."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(checkpoint(model, x.requires_grad_(), use_reentrant=True), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
