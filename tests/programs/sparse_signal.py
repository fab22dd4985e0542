"""A layer whose output is a sparse tensor, and one whose output is a nested one: named as not measured, not as faults."""

import warnings

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")


class Sparse(nn.Module):
    def forward(self, x):
        return x.to_sparse()


class Nested(nn.Module):
    def forward(self, x):
        return torch.nested.nested_tensor([row[: 2 + i % 2] for i, row in enumerate(x.detach())])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.sparse, self.nested = Sparse(), Nested()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.fc(x)
        self.nested(x)
        return self.head(self.sparse(x).to_dense())


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
