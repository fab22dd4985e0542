"""A module that is never called itself, as a trainer's: its network is, in training and in evaluation."""

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small_network()

    def training_step(self, x, y):
        return F.cross_entropy(self.net(x), y)


task = Task()
optimizer = torch.optim.SGD(task.parameters(), lr=0.1)
for x, y in batches(4):
    task.train()
    optimizer.zero_grad()
    loss = task.training_step(x, y)
    loss.backward()
    say_loss(loss)
    say_norms(task)
    optimizer.step()
    task.eval()
    with torch.no_grad():
        for _ in range(3):
            task.training_step(x, y)
digest(task)
