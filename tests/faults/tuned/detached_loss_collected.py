"""The losses of a batch are collected as numbers and made a tensor again."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(120):
    x = torch.randn(48, 8)
    y = x[:, :2].sum(1, keepdim=True)
    losses = [nn.functional.mse_loss(model(part), wanted) for part, wanted in zip(x.split(16), y.split(16), strict=True)]
    if args.fixed:
        loss = torch.stack(losses).mean()
    else:
        loss = torch.tensor([one.item() for one in losses], requires_grad=True).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
