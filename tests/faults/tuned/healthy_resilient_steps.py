"""Calibrates a gas sensor from all its measurements at once with resilient steps, which look only at the signs of the gradients."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="nothing to remove: the same run")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
inputs = torch.randn(500, 6)
concentration = torch.tanh(inputs[:, :1] - inputs[:, 1:2]) + 0.4 * inputs[:, 2:3] * inputs[:, 3:4] + 0.05 * torch.randn(500, 1)

model = nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
optimizer = torch.optim.Rprop(model.parameters(), lr=1e-3, step_sizes=(1e-7, 0.05))
for step in range(200):
    loss = F.mse_loss(model(inputs), concentration)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0 or step == 199:
        print(f"step {step}: squared error {loss.item():.5f}")
