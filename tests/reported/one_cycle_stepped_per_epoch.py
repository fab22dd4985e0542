"""Handwritten digits under a one-cycle schedule."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
data = load_digits()
images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(data.target)
order = torch.randperm(len(labels))
images, labels = images[order], labels[order]
loader = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=32, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(128, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
EPOCHS = 10
optimizer = torch.optim.SGD(model.parameters(), lr=4e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=len(loader), epochs=EPOCHS, cycle_momentum=False)
for epoch in range(EPOCHS):
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if args.fixed:
            scheduler.step()
    if not args.fixed:
        scheduler.step()
    print(epoch, f"rate {scheduler.get_last_lr()[0]:.4g}, loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    right = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()
print(f"RESULT loss {loss.item():.4f}, held out accuracy {right:.3f}")
