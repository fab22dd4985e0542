"""Gradients from ``torch.autograd.grad`` put into ``.grad`` for an optimizer."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
parameters = list(model.parameters())
for x, y in batches(4):
    loss = F.cross_entropy(model(x), y)
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = g
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
