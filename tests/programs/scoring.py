"""Sets scored with gradients enabled, in training mode, and under no_grad; then training goes on: no part of any step."""

import sys

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(*[layer for _ in range(10) for layer in (nn.Linear(6, 6), nn.ReLU())], nn.Linear(6, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
SCORED = int(sys.argv[1])


def score():
    return sum(float(model(x).detach().sum()) for x, _ in batches(SCORED))


for step, (x, y) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    if step == 2:
        print("scored", score())
        with torch.no_grad():
            print("scored", score())
digest(model)
