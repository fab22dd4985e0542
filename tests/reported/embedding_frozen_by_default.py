"""A recommender starts from stored vectors of the items; from_pretrained freezes them unless told otherwise."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
USERS, ITEMS, WIDTH = 200, 150, 16

taste, kind = torch.randn(USERS, 6), torch.randn(ITEMS, 6)
pairs = torch.stack([torch.randint(0, USERS, (12000,)), torch.randint(0, ITEMS, (12000,))], 1)
clicks = ((taste[pairs[:, 0]] * kind[pairs[:, 1]]).sum(1) > 0).float()
stored = 0.1 * torch.cat([kind[:, :2] @ torch.randn(2, 3), torch.randn(ITEMS, WIDTH - 3).sign()[:1].expand(ITEMS, -1)], 1)


class FactorizationMachine(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(USERS, WIDTH)
        nn.init.normal_(self.user.weight, std=0.1)
        self.item = nn.Embedding.from_pretrained(stored, freeze=False) if args.fixed else nn.Embedding.from_pretrained(stored)
        self.first_order = nn.Embedding(USERS, 1)
        self.mlp = nn.Sequential(nn.Linear(2 * WIDTH, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, pairs):
        u, i = self.user(pairs[:, 0]), self.item(pairs[:, 1])
        return (u * i).sum(1) + self.mlp(torch.cat([u, i], 1)).squeeze(1) + 0.1 * self.first_order(pairs[:, 0]).squeeze(1)


model = FactorizationMachine()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(15):
    total = 0.0
    for batch in torch.randperm(10000).split(250):
        loss = F.binary_cross_entropy_with_logits(model(pairs[batch]), clicks[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 40
    with torch.no_grad():
        accuracy = ((model(pairs[10000:]) > 0) == clicks[10000:].bool()).float().mean().item()
    if epoch % 3 == 2:
        print(epoch, f"train {total:.4f} accuracy {accuracy:.3f}", flush=True)
print(f"RESULT train loss {total:.4f} accuracy {accuracy:.3f}")
