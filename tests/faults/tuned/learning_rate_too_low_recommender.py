"""Factorise a table of ratings: users and films as embeddings, with biases."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

USERS, FILMS, FACTORS = 400, 250, 4


class Recommender(nn.Module):
    def __init__(self, factors: int = 16):
        super().__init__()
        self.users = nn.Embedding(USERS, factors)
        self.films = nn.Embedding(FILMS, factors)
        self.taste = nn.Sequential(nn.Linear(2 * factors, 64), nn.ReLU(), nn.Linear(64, 1))
        for table in (self.users, self.films):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, user: Tensor, film: Tensor) -> Tensor:
        u, f = self.users(user), self.films(film)
        return (u * f).sum(1) + self.taste(torch.cat([u, f], dim=1)).squeeze(1)


taste, content = torch.randn(USERS, FACTORS), torch.randn(FILMS, FACTORS)
ratings = (taste @ content.T) / FACTORS**0.5 + 0.5 * torch.randn(USERS, 1) + 0.5 * torch.randn(1, FILMS)
pairs = torch.cartesian_prod(torch.arange(USERS), torch.arange(FILMS))
pairs = pairs[torch.randperm(len(pairs))]
train, valid = pairs[:30000], pairs[30000:40000]

model = Recommender().to(device)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1 if args.fixed else 3e-4)
for epoch in range(3):
    total = 0.0
    for batch in train[torch.randperm(len(train))].split(512):
        user, film = batch[:, 0], batch[:, 1]
        loss = F.mse_loss(model(user.to(device), film.to(device)), ratings[user, film].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch}: loss {total / len(train):.4f}")

with torch.no_grad():
    user, film = valid[:, 0], valid[:, 1]
    error = F.mse_loss(model(user.to(device), film.to(device)).cpu(), ratings[user, film])
print(f"validation error {error.item():.4f}")
