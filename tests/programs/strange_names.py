"""Layer names that are no ASCII and no friends of a web page."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential()
model.add_module("größe", nn.Linear(6, 8))
model.add_module("<script>alert(1)</script>", nn.ReLU())
model.add_module("層'\"&", nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
