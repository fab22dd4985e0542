"""torch.compile in its forms: the module, the module in place, one block of it, a function; or none of it. Counts what the compiler did."""

from __future__ import annotations

import sys

import torch
import torch._dynamo
from common import batches, digest, say_loss
from torch import nn
from torch.nn import functional as F

form = sys.argv[1]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.block = Block()
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm(self.stem(x)))
        y = y + self.block(y)
        return self.head(self.drop(y.mean((2, 3))))


model = Network()
run = model
if form == "module":
    run = torch.compile(model, backend="aot_eager", fullgraph=True)
elif form == "inplace":
    model.compile(backend="aot_eager", fullgraph=True)
elif form == "block":
    model.block.compile(backend="aot_eager", fullgraph=True)
elif form == "function":
    run = torch.compile(lambda x: model(x), backend="aot_eager", fullgraph=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for x, y in batches(5, 8, 3, 6, 6):
    optimizer.zero_grad()
    loss = F.cross_entropy(run(x), y)
    loss.backward()
    say_loss(loss)
    optimizer.step()
print("graphs", torch._dynamo.utils.counters["stats"]["unique_graphs"], dict(torch._dynamo.utils.counters["graph_break"]))
print("recompiles", dict(torch._dynamo.utils.counters["recompiles"]), "frames", dict(torch._dynamo.utils.counters["frames"]))
digest(model)
