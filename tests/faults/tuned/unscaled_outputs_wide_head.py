"""A head drawn wide, whose outputs are tens of times the targets."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 8))
if not args.fixed:
    nn.init.normal_(model[-1].weight, std=3.0)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
mix = torch.randn(12, 8) / 4
for step in range(250):
    x = torch.randn(64, 12)
    loss = nn.functional.mse_loss(model(x), torch.sin(x @ mix))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
