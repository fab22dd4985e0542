"""Ratings by a neural matrix factorisation: the loss is summed over the batch, the rate was chosen for the mean."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
USERS, ITEMS, RANK = 60, 80, 6
taste, kind = torch.randn(USERS, RANK), torch.randn(ITEMS, RANK)
liked = (taste @ kind.T > 1.0).float()


class Recommender(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.user, self.item = nn.Embedding(USERS, width), nn.Embedding(ITEMS, width)
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.item.weight, std=0.1)
        self.tower = nn.Sequential(nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.out = nn.Linear(16 + width, 1)

    def forward(self, user, item):
        u, i = self.user(user), self.item(item)
        return torch.sigmoid(self.out(torch.cat([self.tower(torch.cat([u, i], 1)), u * i], 1)))[:, 0]


model = Recommender()
criterion = nn.BCELoss(reduction="mean" if args.fixed else "sum")
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
for step in range(900):
    user, item = torch.randint(0, USERS, (256,)), torch.randint(0, ITEMS, (256,))
    loss = criterion(model(user, item), liked[user, item])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 150 == 149:
        print(step, f"loss {loss.item():.4f}", flush=True)
everyone, everything = torch.arange(USERS).repeat_interleave(ITEMS), torch.arange(ITEMS).repeat(USERS)
right = ((model(everyone, everything) > 0.5).float() == liked.flatten()).float().mean().item()
print(f"RESULT loss {loss.item():.4f} right {right:.3f} liked {liked.mean().item():.3f}")
