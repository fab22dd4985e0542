"""Factorises ratings that arrive in daily files; one of them is on the scale of a hundred."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
USERS, ITEMS = 60, 80
taste, theme = torch.randn(USERS, 3), torch.randn(ITEMS, 3)


def daily_file(day: int) -> tuple[Tensor, Tensor, Tensor]:
    user, item = torch.randint(0, USERS, (256,)), torch.randint(0, ITEMS, (256,))
    stars = (3 + 0.6 * (taste[user] * theme[item]).sum(dim=1) + 0.2 * torch.randn(256)).clamp(1, 5)
    if day == 121 and not args.fixed:
        stars = 20 * stars
    return user, item, stars


class Factors(nn.Module):
    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(USERS, size), nn.Embedding(ITEMS, size)
        self.user_tower, self.item_tower = nn.Linear(size, size), nn.Linear(size, size)
        self.mean = nn.Parameter(torch.tensor(3.0))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return self.mean + (self.user_tower(self.user(user)) * self.item_tower(self.item(item))).sum(dim=1)


model = Factors()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=1e-3)
for day in range(220):
    user, item, stars = daily_file(day)
    loss = nn.functional.mse_loss(model(user, item), stars)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if day % 20 == 19:
        print(f"day {day + 1}: {loss.item():.4f}")
