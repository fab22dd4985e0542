"""A network is trained, and another one for a few steps in the middle of it."""

import torch
from torch import nn

torch.manual_seed(0)
long, brief = nn.Linear(8, 4), nn.Linear(8, 4)
optimizer, second = torch.optim.SGD(long.parameters(), lr=0.01), torch.optim.Adam(brief.parameters())
for step in range(60):
    network, mover = (brief, second) if 30 <= step < 33 else (long, optimizer)
    mover.zero_grad()
    network(torch.randn(16, 8)).pow(2).mean().backward()
    mover.step()
