"""Two backward passes a step: up to where the loss is sharpest, then down from there."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, labels = digits.load()
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, stride=2),
    nn.ReLU(),
    nn.Conv2d(12, 24, 3, padding=1, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(96, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
RADIUS = 0.1
for epoch in range(4):
    for rows in torch.randperm(1600).split(50):
        optimizer.zero_grad()
        F.cross_entropy(model(images[rows]), labels[rows]).backward()
        with torch.no_grad():
            norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
            moves = [RADIUS * p.grad / (norm + 1e-12) for p in model.parameters()]
            for p, move in zip(model.parameters(), moves, strict=True):
                p.add_(move)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        loss.backward()
        with torch.no_grad():
            for p, move in zip(model.parameters(), moves, strict=True):
                p.sub_(move)
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(images[1600:]).argmax(1) == labels[1600:]).float().mean()
    print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {accuracy.item():.3f}")
