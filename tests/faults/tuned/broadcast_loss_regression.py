"""A regression whose output is (N, 1) and whose target is (N,)."""

import argparse
import warnings

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
warnings.simplefilter("ignore", UserWarning)
inputs = torch.randn(512, 10)
targets = inputs[:, 0] * inputs[:, 1] + inputs[:, 2]
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    rows = torch.randint(0, 512, (64,))
    output = model(inputs[rows])
    loss = nn.functional.mse_loss(output.squeeze(1) if args.fixed else output, targets[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
