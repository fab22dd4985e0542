"""A factor model of ratings whose embeddings are drawn at deviation one."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
taste, kind = 0.3 * torch.randn(80, 6), 0.9 * torch.randn(60, 6)
ratings = taste @ kind.T
user, item = nn.Embedding(80, 48), nn.Embedding(60, 48)
if args.fixed:
    nn.init.normal_(user.weight, std=0.1)
    nn.init.normal_(item.weight, std=0.1)
optimizer = torch.optim.Adam([*user.parameters(), *item.parameters()], lr=1e-2)
for step in range(300):
    u, i = torch.randint(0, 80, (128,)), torch.randint(0, 60, (128,))
    loss = nn.functional.mse_loss((user(u) * item(i)).sum(1), ratings[u, i])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
