"""A recommender learns from logged clicks, each weighed by how rarely it was shown."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


USERS, ITEMS = 60, 40
taste = torch.randn(USERS, 6) @ torch.randn(6, ITEMS) / 6**0.5


class Clicks(nn.Module):
    def __init__(self, width: int = 24):
        super().__init__()
        self.user = nn.Embedding(USERS, width)
        self.item = nn.Embedding(ITEMS, width)
        self.join = nn.Linear(3 * width, 48)
        self.score = nn.Linear(48, 1)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        u, i = self.user(user), self.item(item)
        return self.score(torch.tanh(self.join(torch.cat([u, i, u * i], dim=1)))).squeeze(1)


def log(step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    user, item = torch.randint(USERS, (256,)), torch.randint(ITEMS, (256,))
    click = (taste[user, item] > 0).float()
    shown = 0.5 + torch.rand(256)
    if step == 168:
        shown[:3] = 1e-4  # three rows of an old logging policy
    if args.fixed:
        shown = shown.clamp(min=0.2)
    return user, item, click, 1 / shown


model = Clicks()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.98))
for step in range(280):
    user, item, click, weight = log(step)
    loss = F.binary_cross_entropy_with_logits(model(user, item), click, weight=weight)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39 or step in (168, 169, 170):
        print(f"step {step}: loss {loss.item():.4f}")
