"""A scripted and then a traced model trains."""

import warnings

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

warnings.simplefilter("ignore")
model = small_network()
for compiled in (torch.jit.script(model), torch.jit.trace(model, torch.zeros(8, 6))):
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.1)
    for x, y in batches(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(compiled(x), y)
        loss.backward()
        say_loss(loss)
        optimizer.step()
digest(model)
