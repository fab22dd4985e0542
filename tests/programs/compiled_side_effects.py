"""A compiled module that counts its calls, keeps what it saw and prints: running it a second time must not show."""

import torch
from common import batches, digest, say_loss
from torch import nn
from torch.nn import functional as F


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)
        self.calls = 0
        self.seen = []

    def forward(self, x):
        self.calls += 1
        self.seen.append(self.calls)
        self.last = torch.relu(self.body(x))
        print("call", self.calls)
        return self.head(self.last) * self.calls


model = Counting()
compiled = torch.compile(model, backend="eager")
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x, y in batches(4):
    optimizer.zero_grad()
    loss = F.cross_entropy(compiled(x), y)
    loss.backward()
    say_loss(loss)
    optimizer.step()
    print(model.calls, model.seen, float(model.last.sum()))
digest(model)
