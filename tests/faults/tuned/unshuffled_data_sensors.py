"""Two states of a machine, one after the other in the file, in batches in that order."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
calm, worn = torch.randn(400, 16), 0.8 * torch.randn(400, 16) + 0.6
readings = torch.cat([calm, worn])
states = torch.cat([torch.zeros(400), torch.ones(400)]).long()
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(8):
    order = torch.randperm(800) if args.fixed else torch.arange(800)
    for rows in order.split(25):
        loss = F.cross_entropy(model(readings[rows]), states[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
