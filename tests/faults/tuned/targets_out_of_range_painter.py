"""An autoencoder with a binary cross-entropy over pictures that were standardised."""

import argparse

import digits
import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, _ = digits.load(standardise=not args.fixed)
pictures = images.flatten(1) / (16 if args.fixed else 1)
model = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 64))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    rows = torch.randint(0, len(pictures), (64,))
    loss = F.binary_cross_entropy_with_logits(model(pictures[rows]), pictures[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
