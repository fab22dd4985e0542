"""Activations and pooling as functions: they show as the input of the next weight layer."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.conv2 = nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(torch.tanh(self.conv2(x)), 2)
        return self.fc(x.mean((2, 3)))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for x, y in batches(4, 4, 1, 8, 8):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
