"""A model whose output is its next input: an unrolled simulation. Its calls are depth, and no batch in pieces."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

CALLS = 12


class Generation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.full((6,), 0.9))

    def forward(self, share: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.rate * share)


model = Generation()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, _ in batches(4):
    optimizer.zero_grad()
    share, loss = x, torch.zeros(())
    for _ in range(CALLS):
        share = model(share)
        loss = loss + F.mse_loss(share, x)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
