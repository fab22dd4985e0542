"""A deep plain network without normalisation and with the default initialisation stays at chance; with batch normalisation it trains."""

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


def unit(i, o):
    if args.fixed:
        return [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]
    return [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]


model = nn.Sequential(
    *unit(1, 12), *(layer for _ in range(12) for layer in unit(12, 12)), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for epoch in range(4):
    for batch in torch.randperm(1400).split(60):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(x[1400:]).argmax(1) == y[1400:]).float().mean().item()
    print(epoch, f"loss {loss.item():.4f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT loss {loss.item():.4f} accuracy {accuracy:.3f}")
