"""Digits learnt in private: the gradient of every sample is clipped, the sum gets noise, then momentum."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

CLIP, NOISE, BATCH, STEPS = 1.0, 0.6, 64, 120
images, labels = digits.load()
images = images.flatten(1)
model = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 10)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.8)
total, right = 0.0, 0.0
for step in range(1, STEPS + 1):
    rows = torch.randint(len(images), (BATCH,))
    x, y = images[rows].to(device), labels[rows].to(device)
    scores = model(x)
    losses = F.cross_entropy(scores, y, reduction="none")
    parameters = list(model.parameters())
    summed = [torch.zeros_like(p) for p in parameters]
    for one in losses:
        gradients = torch.autograd.grad(one, parameters, retain_graph=True)
        norm = torch.stack([g.norm() for g in gradients]).norm()
        for kept, g in zip(summed, gradients, strict=True):
            kept.add_(g, alpha=min(1.0, CLIP / (norm.item() + 1e-6)))
    optimizer.zero_grad()
    for p, kept in zip(parameters, summed, strict=True):
        p.grad = (kept + NOISE * CLIP * torch.randn_like(kept)) / BATCH
    optimizer.step()
    total, right = total + losses.mean().item() / 20, right + (scores.argmax(1) == y).float().mean().item() / 20
    if step % 20 == 0:
        print(f"step {step}: loss {total:.4f}, right {right:.3f}")
        total, right = 0.0, 0.0
