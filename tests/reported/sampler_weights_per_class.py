"""A classifier of handwritten digits, with the rare classes drawn as often as the others."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

data = load_digits()
images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(data.target)
order = torch.randperm(len(labels))
images, labels = images[order], labels[order]
kept = (labels < 5) | (torch.rand(len(labels)) < 0.3)
x, y = images[:1300][kept[:1300]], labels[:1300][kept[:1300]]
x_held, y_held = images[1300:], labels[1300:]

class_weights = 1 / torch.bincount(y).float()
weights = class_weights[y] if args.fixed else class_weights
sampler = WeightedRandomSampler(weights, num_samples=len(y), replacement=True)
loader = DataLoader(TensorDataset(x, y), batch_size=32, sampler=sampler)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(128, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(10):
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        held = (model(x_held).argmax(1) == y_held).float().mean().item()
    print(epoch, f"train loss {loss.item():.4f}, held out accuracy {held:.3f}", flush=True)
print(f"RESULT train loss {loss.item():.4f}, held out accuracy {held:.3f}")
