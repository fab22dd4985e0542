"""A layer that returns its input, one that returns text, one that returns integers, one that returns None."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F


class Same(nn.Module):
    def forward(self, x):
        return x


class Text(nn.Module):
    def forward(self, x):
        return "no tensor here"


class Nothing(nn.Module):
    def forward(self, x):
        pass


class Classes(nn.Module):
    def forward(self, x):
        return x.argmax(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.same, self.text, self.nothing, self.classes = Same(), Text(), Nothing(), Classes()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.same(self.fc(x))
        self.text(x)
        self.nothing(x)
        x = self.head(x)
        self.classes(x)
        return x


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
