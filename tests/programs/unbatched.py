"""A convolution and a linear layer that get a single sample without a batch axis."""

import torch
from common import digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
head = nn.Linear(4, 3)
optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(head(model(torch.randn(2, 7, 6)).mean((1, 2))), torch.tensor(1))
    loss.backward()
    say_loss(loss)
    say_norms(model=model, head=head)
    optimizer.step()
digest(model, head)
