"""Momentum is raised from 0.9 to 0.99 and the rate stays: every step is ten times as long in the end."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
y = torch.tensor(digits.target)
model = nn.Sequential(
    nn.Conv2d(1, 20, 5, padding=2),
    nn.MaxPool2d(2),
    nn.Conv2d(20, 50, 3, padding=1),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(200, 120),
    nn.ReLU(),
    nn.Linear(120, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.08, momentum=0.9 if args.fixed else 0.99)
for epoch in range(8):
    total = 0.0
    for batch in torch.randperm(1400).split(50):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 28
    print(epoch, f"loss {total:.4f}", flush=True)
accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
print(f"RESULT loss {total:.4f} accuracy {accuracy:.3f}")
