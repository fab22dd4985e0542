"""SGD by hand from ``torch.autograd.grad``: there is no backward call and no optimizer."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
parameters = list(model.parameters())
for x, y in batches(4):
    loss = F.cross_entropy(model(x), y)
    gradients = torch.autograd.grad(loss, parameters)
    say_loss(loss)
    with torch.no_grad():
        for p, g in zip(parameters, gradients, strict=True):
            p -= 0.1 * g
digest(model)
