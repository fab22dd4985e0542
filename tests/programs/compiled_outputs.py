"""A compiled module that returns its predictions beside the loss, as language models do: the loss is used, they are saved."""

from __future__ import annotations

import io
import sys

import torch
from common import batches, digest, say_loss
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        predictions = self.head(self.relu(self.body(x)))
        return predictions, F.cross_entropy(predictions, y)


model = Network()
run = torch.compile(model, backend="aot_eager") if sys.argv[1] == "compiled" else model
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    predictions, loss = run(x, y)
    torch.save(predictions, io.BytesIO())  # torch warns of hooks that are not saved with a tensor
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
