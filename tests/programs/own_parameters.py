"""A model that overrides what torch uses to list its parts: a list of what is trained, a count of who asks, a refusal."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

asked = []


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 3)

    def parameters(self):
        asked.append("parameters")
        return [*self.body.parameters(), *self.norm.parameters(), *self.head.parameters()]

    def modules(self):
        asked.append("modules")
        return [self]

    def named_parameters(self):
        raise NotImplementedError("use parameters")

    def children(self):
        raise NotImplementedError("use modules")

    def buffers(self):
        raise NotImplementedError("there are none of interest")

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.body(x))))


model = Listed()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(body=model.body, norm=model.norm, head=model.head)
    optimizer.step()
    with torch.no_grad():
        model(x)
print(asked)
digest(model.body, model.norm, model.head)
