"""Losses and parameters handed to autograd as iterators, generators and mappings, each of which can be read once."""

from __future__ import annotations

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

what = sys.argv[1]
model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    losses = [F.cross_entropy(model(x), y)]
    if what == "losses":
        torch.autograd.backward(loss for loss in losses)
    elif what == "leaves":
        losses[0].backward(inputs=(parameter for parameter in model.parameters()))
    elif what == "gradients":
        for parameter, gradient in zip(model.parameters(), torch.autograd.grad(iter(losses), model.parameters()), strict=True):
            parameter.grad = gradient
    else:  # an inner step, as in meta-learning, and a backward through it
        gradients = torch.autograd.grad(losses[0], model.parameters(), create_graph=True)
        names = [name for name, _ in model.named_parameters()]
        fast = {name: weight - 0.1 * gradient for name, weight, gradient in zip(names, model.parameters(), gradients, strict=True)}
        losses = [F.cross_entropy(torch.func.functional_call(model, fast, (x,)), y)]
        losses[0].backward()
    say_loss(*losses)
    say_norms(model)
    optimizer.step()
digest(model)
