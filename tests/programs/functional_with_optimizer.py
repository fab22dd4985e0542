"""torch.func gradients, averaged per sample by vmap, stepped by an optimizer."""

import torch
from common import batches, digest, say_norms, small_network
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def compute_loss(weights, x, y):
    return F.cross_entropy(functional_call(model, weights, (x[None],)), y[None])


for x, y in batches(4):
    weights = {name: p.detach() for name, p in model.named_parameters()}
    gradients = vmap(grad(compute_loss), in_dims=(None, 0, 0))(weights, x, y)
    for name, p in model.named_parameters():
        p.grad = gradients[name].mean(0)
    say_norms(model)
    optimizer.step()
digest(model)
