"""A fault provoked inside the recorder, for the one layer with seven channels."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

import bnprobe.observe.signals.forward_hook as forward

measure = forward.moments


def broken(x, layout):
    if x.shape[-1] == 7:
        raise ValueError("provoked")
    return measure(x, layout)


forward.moments = broken
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
