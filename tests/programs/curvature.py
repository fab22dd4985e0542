"""Hessian-vector products by torch.autograd.grad between the forward and the backward: no part of the training."""

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
parameters = list(model.parameters())
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    if sys.argv[1] == "measured":
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        product = sum((g * g.detach()).sum() for g in gradients)
        products = torch.autograd.grad(product, parameters, retain_graph=True)
        print("curvature", float(sum(p.square().sum() for p in products)))
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
