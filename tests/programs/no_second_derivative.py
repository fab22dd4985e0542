"""Losses whose gradient cannot be differentiated again, each in its own way."""

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sin()

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return gradient.cos()


class Fails(torch.autograd.Function):
    """Its backward fails where it is to be differentiated."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        if gradient.requires_grad:
            raise ValueError("größe")
        return gradient * 2


def distances(x):
    return torch.cdist(x, x.detach().flip(0) + 1.0)[:, :3]


model = nn.Sequential(small_network(), nn.BatchNorm1d(3), nn.Dropout(0.2))
change = {"once": Once.apply, "fails": Fails.apply, "distances": distances}
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(change[sys.argv[1]](model(x)), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
