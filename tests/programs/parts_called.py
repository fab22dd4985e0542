"""A module that is never called itself: its parts are, by a training step of its own, as trainers such as Lightning do."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 8)
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 3)

    def training_step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.head(self.relu(self.encoder(x))), y)


task = Task()
optimizer = torch.optim.SGD(task.parameters(), lr=0.1)
for x, y in batches(12):
    optimizer.zero_grad()
    loss = task.training_step(x, y)
    loss.backward()
    say_loss(loss)
    say_norms(task)
    optimizer.step()
digest(task)
