"""A backward that fails (a batch is skipped) must not spoil the steps after it."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise MemoryError("no memory for this batch")


model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, (x, y) in enumerate(batches(4)):
    optimizer.zero_grad()
    logits = model(x)
    loss = F.cross_entropy(Broken.apply(logits) if step == 1 else logits, y)
    try:
        loss.backward()
    except MemoryError as error:
        print("skipped:", error)
        continue
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
