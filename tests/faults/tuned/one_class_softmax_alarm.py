"""A detector of two states with one output, trained with a cross-entropy over that one class."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(150):
    x = torch.randn(64, 10)
    alarm = (x[:, 0] + x[:, 1] > 0.5).float()
    output = model(x)
    if args.fixed:
        loss = nn.functional.binary_cross_entropy_with_logits(output.squeeze(1), alarm)
    else:
        loss = -(nn.functional.log_softmax(output, dim=1).squeeze(1) * alarm).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
