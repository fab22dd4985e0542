"""numpy raises where a number leaves the range of its type, warnings are errors, and the script's own numbers are tiny."""

import warnings

import numpy as np
import torch
from common import batches, digest, say_loss, say_norms
from torch import nn

np.seterr(all="raise")
warnings.simplefilter("error")
model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-30)
for step, (x, _) in enumerate(batches(6)):
    optimizer.zero_grad()
    loss = model(x * 1e-25).pow(2).mean() * 10.0 ** (-8 * step)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
print("numpy still raises:", np.geterr()["under"])
digest(model)
