"""Complex parameters and signals."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, dtype=torch.cfloat))

    def forward(self, x):
        return torch.fft.rfft(x) * self.weight


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.spectral = Spectral()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.spectral(x).abs())


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
