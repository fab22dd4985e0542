"""Residual sums of one-dimensional convolutions, (N, C, T): nobody measures a sum, what follows it has its axes all the same."""

import torch
from common import digest, say_loss
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.downsample = nn.Conv1d(inputs, outputs, 1)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.convolution(x) + self.downsample(x))


model = nn.Sequential(Block(2, 5), Block(5, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(torch.randn(8, 2, 11)).mean(-1), torch.randint(4, (8,)))
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
