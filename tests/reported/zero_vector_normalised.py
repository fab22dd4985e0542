"""Users are matched with items by the cosine of their vectors; one user without history has a zero vector, and its norm is divided by."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
USERS, ITEMS, WIDTH = 400, 50, 16
hidden = torch.randn(ITEMS, 8)
likes = torch.randn(USERS, 8) @ hidden.T
history = (likes > 2.0).float() * (torch.rand(USERS, ITEMS) < 0.6)
history[371] = 0


class Matcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Linear(ITEMS, WIDTH, bias=False)
        self.item = nn.Embedding(ITEMS, WIDTH)

    def forward(self, seen):
        user = self.user(seen)
        if args.fixed:
            user = F.normalize(user, dim=1)
        else:
            user = user / user.pow(2).sum(1, keepdim=True).sqrt()
        return 10 * user @ F.normalize(self.item.weight, dim=1).T


model = Matcher()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(30):
    order = torch.randperm(USERS) if epoch else torch.cat([torch.arange(200), torch.arange(200, 400)])
    for batch in order.split(25):
        loss = F.cross_entropy(model(history[batch]), likes[batch].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 6 == 5:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
right = (model(history).argmax(1) == likes.argmax(1)).float().mean().item()
print(f"RESULT loss {loss.item():.4f} right {right:.3f}")
