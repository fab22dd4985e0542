"""Sharpness-aware minimisation: a step up, a second gradient, the step down from where it stood."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

RADIUS = 0.1


class SharpnessAware(torch.optim.Optimizer):
    def __init__(self, parameters, base: torch.optim.Optimizer):
        super().__init__(parameters, {})
        self.base = base

    @torch.no_grad()
    def step(self, closure):
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in moved]).norm() + 1e-12
        rises = [p.grad * (RADIUS / norm) for p in moved]
        for p, rise in zip(moved, rises, strict=True):
            p.add_(rise)
        with torch.enable_grad():
            closure()
        for p, rise in zip(moved, rises, strict=True):
            p.sub_(rise)
        self.base.step()


images, labels = digits.load()
loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(24 * 16, 10),
).to(device)
optimizer = SharpnessAware(model.parameters(), torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9))
for epoch in range(4):
    total = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)

        def again(x=x, y=y) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()

        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(again)
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")

with torch.no_grad():
    right = model(images[1500:].to(device)).argmax(1).cpu() == labels[1500:]
print(f"accuracy {right.float().mean().item():.3f}")
