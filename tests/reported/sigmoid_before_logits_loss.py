"""Which of two users likes a thing, factors of user and thing multiplied; the loss stays at 0.69 and falls no further."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
USERS, THINGS = 120, 90


class NeuralMF(nn.Module):
    def __init__(self, factors=16):
        super().__init__()
        self.user = nn.Embedding(USERS, factors)
        self.item = nn.Embedding(THINGS, factors)
        self.predict = nn.Sequential(nn.Linear(3 * factors, 32), nn.ReLU(), nn.Linear(32, 1))
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.item.weight, std=0.1)

    def forward(self, user, item):
        u, i = self.user(user), self.item(item)
        score = self.predict(torch.cat([u, i, u * i], 1)).squeeze(1)
        return score if args.fixed else torch.sigmoid(score)


taste, kind = torch.randn(USERS, 3), torch.randn(THINGS, 3)
users, things = torch.randint(0, USERS, (6000,)), torch.randint(0, THINGS, (6000,))
liked = ((taste[users] * kind[things]).sum(1) > 2).float()
model = NeuralMF()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    total = 0.0
    for batch in torch.randperm(5000).split(100):
        loss = criterion(model(users[batch], things[batch]), liked[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    if epoch % 3 == 2:
        print(epoch, f"loss {total / 5000:.4f}", flush=True)
with torch.no_grad():
    score = model(users[5000:], things[5000:])
threshold = 0.0 if args.fixed else 0.5
accuracy = ((score > threshold).float() == liked[5000:]).float().mean().item()
print(f"RESULT loss {total / 5000:.4f} accuracy {accuracy:.3f} liked {liked.mean().item():.3f}")
