"""Distances in kilometres, predicted by a network with tanh."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
angles = 6.3 * torch.rand(600, 3)
distances = 7000.0 + 900.0 * torch.cos(angles[:, :1]) * torch.sin(angles[:, 1:2])
if args.fixed:
    distances = (distances - distances.mean()) / distances.std()
model = nn.Sequential(nn.Linear(3, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    rows = torch.randint(0, 600, (60,))
    loss = nn.functional.smooth_l1_loss(model(angles[rows]), distances[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4g}")
