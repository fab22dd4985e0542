"""The weight norm that works by a forward pre-hook."""

import warnings

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
model = nn.Sequential(nn.utils.weight_norm(nn.Conv1d(2, 4, 3)), nn.ReLU(), nn.Flatten(), nn.utils.weight_norm(nn.Linear(16, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4, 5, 2, 6):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
