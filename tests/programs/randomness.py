"""Dropout, noise, shuffling: every generator draws the same numbers with and without the recorder."""

import random

import numpy as np
import torch
from common import digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

random.seed(0)
np.random.seed(0)
data = TensorDataset(torch.randn(24, 6), torch.randint(3, (24,)))
model = nn.Sequential(nn.Linear(6, 8), nn.RReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    for x, y in DataLoader(data, 8, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x + random.gauss(0, 0.1) + np.random.normal() + 0.1 * torch.randn_like(x)), y)
        loss.backward()
        say_loss(loss)
        say_norms(model)
        optimizer.step()
print(random.random(), np.random.random(), float(torch.rand(())))
digest(model)
