"""Ratings from two tables of factors; to keep the table of films for a while, the gradients of the whole model are thrown away."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
USERS, FILMS = 60, 40
taste, kind = torch.randn(USERS, 3), torch.randn(FILMS, 3)


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.users = nn.Embedding(USERS, 8)
        self.films = nn.Embedding(FILMS, 8)
        self.mix = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
        nn.init.normal_(self.films.weight, std=0.5)

    def forward(self, user, film):
        return self.mix(torch.cat([self.users(user), self.films(film)], dim=1)).squeeze(1)


model = Factors()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
for step in range(250):
    user, film = torch.randint(0, USERS, (96,)), torch.randint(0, FILMS, (96,))
    rating = (taste[user, 0] + kind[film, 0] + 0.3 * taste[user, 1] * kind[film, 1]).tanh()
    loss = (model(user, film) - rating).pow(2).mean()
    model.zero_grad()
    loss.backward()
    kept = model.films if args.fixed else model
    for parameter in kept.parameters():
        parameter.grad = None
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
