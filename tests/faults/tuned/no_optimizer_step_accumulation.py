"""Gradients are accumulated over more batches than there are."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
inputs = torch.randn(640, 12)
targets = torch.sin(inputs[:, :1]) + inputs[:, 1:2]
model = nn.Sequential(nn.Linear(12, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
accumulate = 2 if args.fixed else 256
for epoch in range(6):
    for number, rows in enumerate(torch.randperm(640).split(32), start=1):
        loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows]) / accumulate
        loss.backward()
        if number % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch}: loss {loss.item() * accumulate:.4f}")
