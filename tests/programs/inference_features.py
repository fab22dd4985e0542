"""Heads on features that were made in inference mode: torch does not count what is written to them, and says so by an error."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

backbone = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
head = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for x, y in batches(5):
    with torch.inference_mode():
        features = backbone(x)
    print(head[1](head[0](features)).is_inference())  # with gradients enabled
    optimizer.zero_grad()
    loss = F.cross_entropy(head(features.clone()), y)
    loss.backward()
    say_loss(loss)
    say_norms(head)
    optimizer.step()
digest(head)
