"""An attention over the places of a sequence that normalises over the batch instead."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Finder(nn.Module):
    def __init__(self):
        super().__init__()
        self.key, self.value, self.head = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 4)
        self.query = nn.Parameter(torch.randn(16) / 4)

    def forward(self, x):
        scores = self.key(x) @ self.query
        weights = torch.softmax(scores, dim=1 if args.fixed else 0)
        return self.head((weights.unsqueeze(2) * self.value(x)).sum(1))


model = Finder()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(250):
    x = torch.randn(48, 12, 8)
    marked, label = torch.randint(0, 12, (48,)), torch.randint(0, 4, (48,))
    x[torch.arange(48), marked] = 0.5 * torch.randn(48, 8)
    x[torch.arange(48), marked, 0] = 4.0
    x[torch.arange(48), marked, 1 + label] = 4.0
    loss = F.cross_entropy(model(x), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
