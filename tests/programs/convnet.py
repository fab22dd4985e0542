"""A convolutional network; the argument is the memory format, "contiguous" or "channels_last". The recording must be the same."""

import sys

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(
    nn.Conv2d(3, 4, 3),
    nn.BatchNorm2d(4),
    nn.ReLU(inplace=True),
    nn.MaxPool2d(2),
    nn.Conv2d(4, 8, 3),
    nn.GroupNorm(2, 8),
    nn.SiLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(8, 3),
)
form = torch.channels_last if sys.argv[1] == "channels_last" else torch.contiguous_format
model = model.to(memory_format=form)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3, 4, 3, 12, 12):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x.to(memory_format=form)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
