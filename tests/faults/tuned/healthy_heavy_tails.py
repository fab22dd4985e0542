"""A regression on noise with heavy tails, held in check by an absolute loss and clipping."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
noise = torch.distributions.StudentT(1.5)
mixing = torch.randn(10, 2) / 10**0.5
model = nn.Sequential(nn.Linear(10, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
for step in range(300):
    x = torch.randn(64, 10)
    truth = 2 * torch.sin(1.5 * x @ mixing[:, :1]) + (x @ mixing[:, 1:])
    y = truth + 0.5 * noise.sample((64, 1))
    guess = model(x)
    loss = nn.functional.l1_loss(guess, y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    scheduler.step()
    if step % 50 == 49:
        print(f"step {step + 1}: loss {loss.item():.3f}, against the truth {(guess - truth).abs().mean().item():.3f}")
