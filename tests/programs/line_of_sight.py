"""Losses that say where they would have been along the last update: what a line probe must find, computed by the script itself.

The argument names the training: ``plain`` (batch norm, dropout, label smoothing, a penalty over parameters), ``inside`` (the forward
returns the loss), ``autocast``, ``accumulated``. Before each step the script copies weights, buffers and the random state; after it, it
puts them back, moves the weights along the update by 0, 1/2, 1 and 8, and computes the loss again in the ordinary way.
"""

import copy
import json
import sys

import torch
from common import batches, digest
from torch import nn
from torch.nn import functional as F

kind = sys.argv[1]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 3),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(64, 3),
        )

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        logits = self.body(x)
        return logits if y is None else F.cross_entropy(logits, y)


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if kind == "inside":
        return model(x, y)
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
        loss = F.cross_entropy(model(x).float(), y, label_smoothing=0.1)
    return loss + 1e-3 * sum(parameter.square().sum() for parameter in model.parameters())


model = Network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for batch in zip(batches(3, 8, 3, 8, 8), batches(3, 4, 3, 8, 8), strict=True):
    optimizer.zero_grad()
    for x, y in batch if kind == "accumulated" else batch[:1]:
        seen = copy.deepcopy(model)
        state = torch.get_rng_state()
        loss_of(model, x, y).backward()
    optimizer.step()
    now, losses = torch.get_rng_state(), []
    for s in (0.0, 1.0, 2.0, 8.0):
        moved = copy.deepcopy(seen)
        with torch.no_grad():
            for parameter, after in zip(moved.parameters(), model.parameters(), strict=True):
                step = after.double() - parameter.double()
                parameter.copy_(parameter.double() + s * step)
        torch.set_rng_state(state)
        with torch.no_grad():
            losses.append(float(loss_of(moved, x, y).double()))
    torch.set_rng_state(now)
    print("line", json.dumps(losses))
digest(model)
