"""weight_norm, spectral_norm and a parametrisation of the script's own."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.nn.utils.parametrize import register_parametrization


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).T


model = nn.Sequential(weight_norm(nn.Linear(6, 7)), nn.ReLU(), spectral_norm(nn.Linear(7, 5)), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 3))
register_parametrization(model[4], "weight", Symmetric())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
