"""Objects that notice when they are asked for what they do not have: a wrapped model, an output, a lazy mapping, an optimizer."""

from collections.abc import Mapping

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch import nn
from torch.nn import functional as F

asked = []


class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            asked.append(name)
            return getattr(self.inner, name)

    def forward(self, x):
        return self.inner(x)


class DropNothing(Wrapped):
    """Its name says that it drops values, and its class does not."""


class Output:
    __slots__ = ("absent", "logits")

    def __getattr__(self, name):
        asked.append(name)
        raise AttributeError(name)


class Lazy(Mapping):
    def __init__(self, logits):
        self.logits = logits

    def __getitem__(self, name):
        asked.append(f"computed {name}")
        return self.logits

    def __iter__(self):
        return iter(["logits"])

    def __len__(self):
        return 1


class Head(nn.Linear):
    def __eq__(self, other):
        asked.append("equal")
        return self is other

    def __hash__(self):
        asked.append("hash")
        return 1

    def forward(self, x):
        output = Output()
        output.logits = super().forward(x)
        return output


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = DropNothing(Wrapped(small_network()))
        self.head = Head(3, 3)

    def forward(self, x):
        return Lazy(self.head(self.body(x)).logits)


class Descent(torch.optim.SGD):
    def __getattr__(self, name):
        asked.append(f"optimizer {name}")
        raise AttributeError(name)


model = Model()
optimizer = Descent(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x).logits, y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    print(asked)
digest(model)
