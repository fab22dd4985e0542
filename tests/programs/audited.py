"""Batch norm and dropout; at the end, what evaluation and another sample make of the last batch, by the model itself.

The argument is what drops: "module", "function", or "none".
"""

import copy
import sys

import torch
from common import batches, digest, say_loss
from torch import nn
from torch.nn import functional as F

kind = sys.argv[1]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.4) if kind == "module" else nn.Identity()
        self.second, self.after, self.head = nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(torch.relu(self.norm(self.conv(x))))
        x = F.dropout(x, 0.4, training=self.training) if kind == "function" else x
        return self.head(torch.relu(self.after(self.second(x))).mean((2, 3)))


def ran(model: nn.Module, state: torch.Tensor, inputs: torch.Tensor, norms: bool, drop: bool) -> torch.Tensor:
    """Run a batch on a copy of a model with the random numbers that it had: batch norms and dropout in training or not."""
    torch.set_rng_state(state)
    again = copy.deepcopy(model).train(drop)
    for norm in (again.norm, again.after):
        norm.train(norms)
    return again(inputs)


def reference(model: nn.Module, state: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Loss on running statistics, in evaluation; how far the former moves the output, and how far another sample does."""
    plain, running, evaluated = (ran(model, state, x, *modes) for modes in ((True, True), (False, True), (False, False)))
    other = x.clone()
    other[0] = other[-1]
    exchanged = ran(model, state, other, True, True)
    deviation = plain.double().var(0, correction=0).mean().sqrt()
    moved = [(one - plain)[1:].double().square().mean().sqrt() / deviation for one in (running, exchanged)]
    return [float(one) for one in (F.cross_entropy(running, y), F.cross_entropy(evaluated, y), *moved)]


model = Network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for number, (x, y) in enumerate(batches(7, 5, 3, 10, 10)):
    optimizer.zero_grad()
    before, state = copy.deepcopy(model), torch.get_rng_state()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    say_loss(loss)
    if number == 6:
        with torch.no_grad():
            print("reference", *reference(before, state, x, y))
digest(model)
