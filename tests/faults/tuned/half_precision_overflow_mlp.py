"""Regression in half precision with the sum of squares over the batch as the loss."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

dtype = torch.float32 if args.fixed else torch.float16
weights = torch.randn(16)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)).to(device, dtype)
criterion = nn.MSELoss(reduction="sum")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-4)
for step in range(40):
    x = torch.randn(4096, 16)
    y = 8 * (x @ weights).relu() + torch.randn(4096)
    loss = criterion(model(x.to(device, dtype)).squeeze(1), y.to(device, dtype))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.4g}")
