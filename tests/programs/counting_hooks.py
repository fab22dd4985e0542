"""What runs inside a backward and remembers it: hooks of every kind, and a checkpoint that draws random numbers and moves averages.

A gradient that is retained remembers, too.
"""

import random

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.autograd.graph import register_multi_grad_hook
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

random.seed(3)
seen = []
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))
model[0].weight.register_hook(lambda gradient: seen.append("leaf"))
model[0].weight.register_hook(lambda gradient: gradient * 0.5)
model[0].bias.register_post_accumulate_grad_hook(lambda parameter: seen.append("accumulated"))
model[1].register_full_backward_hook(lambda module, inputs, outputs: seen.append("module"))
model[1].register_full_backward_pre_hook(lambda module, outputs: seen.append("before"))
register_multi_grad_hook([model[2].weight, model[2].bias], lambda gradients: seen.append("several"))
register_multi_grad_hook([model[5].weight, model[5].bias], lambda gradient: seen.append("any"), mode="any")


def tail(hidden):
    shift = random.random()
    return model[5](model[4](model[3](model[2](hidden)))) + shift * torch.rand(3)


optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for x, y in batches(5):
    optimizer.zero_grad()
    hidden = model[1](model[0](x))
    hidden.register_hook(lambda gradient: seen.append("signal"))
    hidden.retain_grad()
    loss = F.cross_entropy(checkpoint(tail, hidden, use_reentrant=False, preserve_rng_state=False), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    print(random.random(), float(torch.rand(())), float(hidden.grad.norm()), seen)
digest(model)
