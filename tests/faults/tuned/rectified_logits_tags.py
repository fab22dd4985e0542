"""A tagger of several labels whose logits pass a ReLU before a binary cross-entropy with logits."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 6))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
concepts = torch.randn(20, 6)
for step in range(200):
    x = torch.randn(64, 20)
    tags = (x @ concepts > 1.5).float()
    logits = model(x) if args.fixed else F.relu(model(x))
    loss = F.binary_cross_entropy_with_logits(logits, tags)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
