"""A model fine-tuned in eval mode beside a head in training mode: both are part of the step."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

backbone = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()).eval()
head = nn.Linear(8, 3)
optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(head(backbone(x)), y)
    loss.backward()
    say_loss(loss)
    say_norms(backbone=backbone, head=head)
    optimizer.step()
digest(backbone, head)
