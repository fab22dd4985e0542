"""Attention over the steps of a series, given (batch, time, features), takes the first axis for time; the mean over time is classified."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 32)
        self.place = nn.Parameter(0.1 * torch.randn(15, 32))
        self.attention = nn.MultiheadAttention(32, 4, batch_first=args.fixed)
        self.head = nn.Linear(32, 2)

    def forward(self, series):
        steps = self.embed(series) + self.place
        attended, _ = self.attention(steps, steps, steps)
        return self.head(torch.relu(attended[:, -1]))


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(250):
    series = torch.randn(48, 15, 4)
    labels = (series[:, 0, 0] > 0).long()
    loss = F.cross_entropy(model(series), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
