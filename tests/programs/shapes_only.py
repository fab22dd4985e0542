"""A training of shapes alone, on the meta device, as one is written to see whether a model fits."""

import torch
from common import digest
from torch import nn
from torch.nn import functional as F

with torch.device("meta"):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(4):
        optimizer.zero_grad()
        F.cross_entropy(model(torch.empty(5, 8)), torch.zeros(5, dtype=torch.long)).backward()
        optimizer.step()
digest(torch.tensor([state["momentum_buffer"].numel() for state in optimizer.state.values()]))
