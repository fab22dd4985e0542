"""A small network learns a larger one's answers by a divergence that is given probabilities."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
teacher = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 5)).requires_grad_(False)
pupil = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 5))
optimizer = torch.optim.Adam(pupil.parameters(), lr=3e-3)
for step in range(200):
    x = torch.randn(64, 16)
    wanted = torch.softmax(4 * teacher(x), 1)
    given = pupil(x).log_softmax(1) if args.fixed else pupil(x).softmax(1)
    loss = F.kl_div(given, wanted, reduction="batchmean")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
