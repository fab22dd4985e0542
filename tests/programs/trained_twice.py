"""A function that builds and trains, called three times with optimizers of different classes; nothing of the first run lives on."""

import gc

import torch
from common import batches, digest, say_loss, say_rates, small_network
from torch.nn import functional as F


def train(kind):
    model = small_network()
    optimizer = kind(model.parameters(), lr=0.05)
    for x, y in batches(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        say_loss(loss)
        say_rates(optimizer)
        optimizer.step()
    digest(model)


for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop):
    train(kind)
    gc.collect()
