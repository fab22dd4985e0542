"""nn.DataParallel, which on a CPU calls the model as it is."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F

model = nn.DataParallel(small_network())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model.module)
    optimizer.step()
digest(model)
