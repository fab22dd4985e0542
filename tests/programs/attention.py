"""Self-attention by nn.MultiheadAttention, time first, with and without returned weights."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.MultiheadAttention(8, 2)
        self.two = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x, _ = self.one(x, x, x)
        x = x.transpose(0, 1)
        x, _ = self.two(x, x, x, need_weights=False)
        return self.head(x.mean(1))


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3, 4, 5, 8):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x.transpose(0, 1)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
