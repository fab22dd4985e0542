"""Layers that return tuples, dicts, named tuples, dataclasses and objects of their own."""

import collections
import dataclasses

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

Pair = collections.namedtuple("Pair", "hidden mask")


@dataclasses.dataclass
class Data:
    hidden: torch.Tensor
    note: str = "a dataclass"


@dataclasses.dataclass(slots=True)
class Slots:
    hidden: torch.Tensor


class Custom:
    def __init__(self, hidden):
        self.name = "custom"
        self.hidden = hidden


class Ordered(collections.OrderedDict):
    pass


class Layer(nn.Module):
    def __init__(self, pack, unpack):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6) / 2)
        self.pack, self.unpack = pack, unpack

    def forward(self, x):
        return self.pack(torch.tanh(x @ self.weight))


KINDS = {
    "tuple": (lambda h: (h, "state"), lambda o: o[0]),
    "mask_first": (lambda h: (h.detach() > 0, h), lambda o: o[1]),
    "loss_first": (lambda h: (h.square().mean(), h), lambda o: o[1]),
    "nested": (lambda h: {"a": [None, (h,)]}, lambda o: o["a"][1][0]),
    "dict": (lambda h: {"hidden": h}, lambda o: o["hidden"]),
    "ordered": (lambda h: Ordered(hidden=h), lambda o: o["hidden"]),
    "namedtuple": (lambda h: Pair(h, None), lambda o: o.hidden),
    "dataclass": (Data, lambda o: o.hidden),
    "slots": (Slots, lambda o: o.hidden),
    "custom": (Custom, lambda o: o.hidden),
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({name: Layer(*kind) for name, kind in KINDS.items()})
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for layer in self.layers.values():
            x = layer.unpack(layer(x))
        return {"logits": self.head(x)}


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x)["logits"], y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
