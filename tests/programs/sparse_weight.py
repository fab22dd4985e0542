"""A weight that is stored sparse, beside one that is not."""

import torch
from common import batches, digest, say_loss
from torch import nn
from torch.nn import functional as F


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter((torch.rand(6, 6).round() * torch.randn(6, 6)).to_sparse())

    def forward(self, x):
        return torch.sparse.mm(self.weight, x.t()).t()


model = nn.Sequential(Mixing(), nn.Linear(6, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(*(parameter.detach().to_dense() for parameter in model.parameters()))
