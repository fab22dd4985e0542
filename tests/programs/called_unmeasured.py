"""A model with a parameter of its own gives out nothing that has an axis, and takes no tensor: it is called all the same."""

import torch
from common import batches, digest, say_loss
from torch import nn


class Scored(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 4)
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, batch):
        return (self.body(batch["x"]) * self.temperature).square().mean()


model = Scored()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, _ in batches(3):
    optimizer.zero_grad()
    loss = model({"x": x})
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
