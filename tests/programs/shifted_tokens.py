"""Tokens and labels are two views of one memory, as in a language model: an audit has to tell them apart."""

import torch
from common import digest, say_loss
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(11, 8), nn.LayerNorm(8), nn.Linear(8, 11))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    window = torch.randint(11, (6, 9))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
