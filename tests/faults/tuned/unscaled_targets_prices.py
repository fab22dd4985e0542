"""House prices in dollars as the targets of a regression."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
rooms = torch.randn(800, 9)
prices = 3e5 + 8e4 * (rooms[:, :1] + 0.5 * rooms[:, 1:2] * rooms[:, 2:3]) + 1e4 * torch.randn(800, 1)
if args.fixed:
    prices = (prices - prices.mean()) / prices.std()
model = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    rows = torch.randint(0, 800, (64,))
    loss = nn.functional.mse_loss(model(rooms[rows]), prices[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4g}")
