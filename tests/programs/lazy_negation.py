"""A layer whose output is a view with torch's lazy negative bit: its memory holds the opposite of its value."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Conjugate(nn.Module):
    def forward(self, x):
        return torch.complex(x, x + 1).conj().imag


class Shift(nn.Module):
    def forward(self, x):
        return x + 0


negative, plain = Conjugate(), Shift()
model = nn.Sequential(nn.Linear(6, 1), negative, plain, nn.Linear(1, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
