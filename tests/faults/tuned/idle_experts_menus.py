"""Dishes are priced in eight towns by eight experts, two for each question; towns start alike, and two experts get them all."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
TOWNS, DISHES, PRICES, WIDTH, EXPERTS = 8, 20, 12, 16, 8
menus = torch.randint(0, PRICES, (TOWNS, DISHES))


class Menu(nn.Module):
    def __init__(self):
        super().__init__()
        self.town, self.dish = nn.Embedding(TOWNS, WIDTH), nn.Embedding(DISHES, WIDTH)
        nn.init.normal_(self.town.weight, mean=1.0, std=0.02)
        self.gate = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, 6), nn.GELU(), nn.Linear(6, PRICES)) for _ in range(EXPERTS))

    def forward(self, town, dish):
        asked = self.town(town)
        chances = self.gate(asked).softmax(1)
        weights, chosen = chances.topk(2, dim=1)
        answer = torch.zeros(len(town), PRICES)
        for number, expert in enumerate(self.experts):
            share = (weights * (chosen == number)).sum(1)
            mine = share.nonzero()[:, 0]
            if len(mine):
                answer = answer.index_add(0, mine, share[mine, None] * expert(asked[mine] + self.dish(dish[mine])))
        load = F.one_hot(chosen, EXPERTS).float().mean((0, 1))
        return answer, EXPERTS * (load * chances.mean(0)).sum()


model = Menu()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(250):
    town, dish = torch.randint(0, TOWNS, (64,)), torch.randint(0, DISHES, (64,))
    answer, balance = model(town, dish)
    loss = F.cross_entropy(answer, menus[town, dish])
    optimizer.zero_grad()
    (loss + 0.1 * balance if args.fixed else loss).backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
