"""A loss summed over places, and a limit of clipping that was meant for its mean."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Conv1d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv1d(16, 16, 5, padding=2), nn.ReLU(), nn.Conv1d(16, 1, 5, padding=2))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
for step in range(200):
    clean = torch.sin(6.3 * torch.rand(32, 1, 1) + 0.2 * torch.arange(64))
    noisy = clean + 0.3 * torch.randn_like(clean)
    loss = nn.functional.mse_loss(model(noisy), clean, reduction="sum")
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 500.0 if args.fixed else 1.0)
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
