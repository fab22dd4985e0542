"""An energy model whose loss holds a constant of about a thousand, over a frozen random first layer."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
centres = 2 * torch.randn(6, 12)
lift = nn.Linear(12, 128)
lift.requires_grad_(False)
model = nn.Sequential(lift, nn.ReLU(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 6))
optimizer = torch.optim.Adadelta([p for p in model.parameters() if p.requires_grad])
criterion = nn.MultiMarginLoss(margin=25.0)
for step in range(150):
    kind = torch.randint(0, 6, (64,))
    x = centres[kind] / 2 + torch.randn(64, 12)
    score = model(x)
    loss = 1000.0 + 40 * criterion(score, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {loss.item():.2f}, right {(score.argmax(1) == kind).float().mean().item():.3f}")
