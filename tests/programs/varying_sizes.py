"""Batches of different size, the last with a single sample, and inputs of different length."""

import torch
from common import digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def forward(self, x):
        return x.mean(1).softmax(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding=1)
        self.attention = Attention()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv(x)
        return self.head((x * self.attention(x)[:, None]).sum(2))


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for n, length in ((5, 6), (3, 9), (1, 6)):
    x, y = torch.randn(n, 2, length), torch.randint(3, (n,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
