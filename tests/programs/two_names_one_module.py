"""One module under two names: torch knows it by the first."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 6)
        self.alias = self.encoder
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.encoder(x)))


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
