"""A moving average of the weights in a deep copy, evaluated after each step; and torch's own AveragedModel."""

import copy

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

model = small_network()
ema = copy.deepcopy(model).eval()
averaged = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    averaged.update_parameters(model)
    with torch.no_grad():
        for slow, fast in zip(ema.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 0.1)
        print("ema", float(F.cross_entropy(ema(x), y)))
        print("averaged", float(F.cross_entropy(averaged(x), y)))
digest(model, ema, averaged)
