"""Predicts ratings from embeddings of users and films that begin at stored vectors."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
USERS, FILMS, SIZE = 200, 120, 12
taste, theme = torch.randn(USERS, 4), torch.randn(FILMS, 4)


class Recommender(nn.Module):
    def __init__(self, users: Tensor, films: Tensor) -> None:
        super().__init__()
        self.user = nn.Embedding.from_pretrained(users, freeze=not args.fixed)
        self.film = nn.Embedding.from_pretrained(films, freeze=not args.fixed)
        self.user_bias = nn.Embedding(USERS, 1)
        self.film_bias = nn.Embedding(FILMS, 1)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.film_bias.weight)
        self.mix = nn.Linear(SIZE, SIZE, bias=False)

    def forward(self, user: Tensor, film: Tensor) -> Tensor:
        match = (self.mix(self.user(user)) * self.film(film)).sum(dim=1)
        return match + self.user_bias(user).squeeze(1) + self.film_bias(film).squeeze(1)


model = Recommender(0.3 * torch.randn(USERS, SIZE), 0.3 * torch.randn(FILMS, SIZE))
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
for step in range(200):
    user, film = torch.randint(0, USERS, (512,)), torch.randint(0, FILMS, (512,))
    rating = (taste[user] * theme[film]).sum(dim=1) / 2 + 0.1 * torch.randn(512)
    loss = nn.functional.mse_loss(model(user, film), rating)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step + 1}: error {loss.item():.4f}")
