"""An optimizer class of the script's own that torch knows nothing of, without accumulation."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F


class Momentum:
    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        self.lr = lr
        self.velocity = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.parameters, self.velocity, strict=True):
            v.mul_(0.9).add_(p.grad)
            p.sub_(self.lr * v)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None


model = small_network()
optimizer = Momentum(model.parameters(), 0.05)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
