"""Digits by a wide network from which the smallest weights are taken in five rounds; the loss jumps at each and recovers."""

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
pixels = images.flatten(1)
model = nn.Sequential(nn.Linear(64, 160), nn.ReLU(), nn.Linear(160, 160), nn.ReLU(), nn.Linear(160, 10))
masks = {layer: torch.ones_like(layer.weight) for layer in model if isinstance(layer, nn.Linear)}
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


@torch.no_grad()
def prune(keep: float) -> None:
    for layer, mask in masks.items():
        bound = layer.weight.abs().flatten().quantile(1 - keep)
        mask.copy_(layer.weight.abs() >= bound)
        layer.weight.mul_(mask)


for step in range(300):
    if step in (60, 100, 140, 180, 220):
        prune({60: 0.4, 100: 0.2, 140: 0.12, 180: 0.08, 220: 0.06}[step])
    pick = torch.randint(0, 1500, (64,))
    loss = F.cross_entropy(model(pixels[pick]), labels[pick])
    optimizer.zero_grad()
    loss.backward()
    for layer, mask in masks.items():
        layer.weight.grad.mul_(mask)
    optimizer.step()
    if step % 50 == 49:
        with torch.no_grad():
            right = (model(pixels[1500:]).argmax(1) == labels[1500:]).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out accuracy {right:.3f}")
