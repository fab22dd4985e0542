"""A head that is replaced twice while training, as in fine-tuning."""

import torch
from common import batches, digest, say_loss, small_network
from torch import nn
from torch.nn import functional as F

model = small_network()
for stage in range(3):
    if stage:
        model[2] = nn.Linear(8, 3 + stage)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(2):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        say_loss(loss)
        optimizer.step()
digest(model)
