"""Three hundred layers."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

model = nn.Sequential(*[nn.Linear(6, 6) for _ in range(300)], nn.Linear(6, 3))
with torch.no_grad():
    for layer in model[:-1]:
        layer.weight.copy_(torch.eye(6) + 0.01 * torch.randn(6, 6))
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
