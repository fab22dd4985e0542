"""A regression stored in bfloat16 with Adam at the small rate of a fine-tuning."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
dtype = torch.float32 if args.fixed else torch.bfloat16
model = nn.Sequential(nn.Linear(16, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 1)).to(dtype)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-5 if not args.fixed else 1e-3)
for step in range(250):
    x = torch.randn(64, 16)
    y = x[:, :1] * x[:, 1:2] + x[:, 2:3]
    loss = nn.functional.mse_loss(model(x.to(dtype)).float(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
