"""A long calm training, thinned, whose loss rises once: every step is then measured for a while."""

import torch
from common import digest, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.randn(8, 6), torch.randint(3, (8,))
for step in range(3000):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y) * (50.0 if step == 2900 else 1.0)
    loss.backward()
    optimizer.step()
digest(model)
