"""Place in the league and goals scored, two heads, from a season read match by match with a layer for each match day."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

FEATURES, WIDTH, DAYS, PLACES = 5, 40, 10, 4


class Season(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matches = nn.ModuleList(nn.Linear(FEATURES, WIDTH) for _ in range(DAYS))
        self.carry = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(DAYS - 1))
        self.place = nn.Linear(WIDTH, PLACES)
        self.goals = nn.Linear(WIDTH, 1)
        for layer in self.carry:
            if args.fixed:
                nn.init.orthogonal_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=0.04)

    def forward(self, days: Tensor) -> tuple[Tensor, Tensor]:
        table = torch.tanh(self.matches[0](days[:, 0]))
        for day in range(1, DAYS):
            table = torch.tanh(0.7 * self.matches[day](days[:, day]) + self.carry[day - 1](table))
        return self.place(table), self.goals(table).squeeze(1)


def seasons(size: int) -> tuple[Tensor, Tensor, Tensor]:
    days = torch.randn(size, DAYS, FEATURES)
    strength = days[:, :3, 0].sum(1) / 3**0.5
    place = torch.bucketize(strength, torch.tensor([-0.7, 0.0, 0.7]))
    return days, place, strength - days[:, 3, 1]


model = Season()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
losses = []
for step in range(250):
    days, place, goals = seasons(128)
    places, scored = model(days)
    loss = F.cross_entropy(places, place) + 0.5 * F.mse_loss(scored, goals)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
