"""Layers that are built at their first call, by a dry run without gradient before the optimizer exists."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
with torch.no_grad():
    model(torch.zeros(2, 1, 6, 6))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3, 4, 1, 6, 6):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
