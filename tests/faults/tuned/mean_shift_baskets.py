"""Guess a customer's group from the articles of a shopping basket, with a deep stack of added sigmoid branches."""

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

ARTICLES, GROUPS, LENGTH = 300, 6, 15
liking = torch.randn(GROUPS, ARTICLES).mul(1.0).softmax(1)


def baskets(count: int) -> tuple[Tensor, Tensor]:
    group = torch.randint(GROUPS, (count,))
    return torch.multinomial(liking[group], LENGTH, replacement=True), group


class Branch(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.mix = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        opened = torch.sigmoid(self.mix(h))
        return h + (opened - 0.5 if args.fixed else opened)


class Likeness(nn.Module):
    """Cosine of the angle to a prototype of each group."""

    def __init__(self, width: int, sharpness: float = 12.0):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(GROUPS, width))
        self.sharpness = sharpness

    def forward(self, h: Tensor) -> Tensor:
        return self.sharpness * F.normalize(h, dim=1) @ F.normalize(self.prototypes, dim=1).T


class BasketModel(nn.Module):
    def __init__(self, width: int = 64, depth: int = 24):
        super().__init__()
        self.articles = nn.EmbeddingBag(ARTICLES, width, mode="sum")
        self.branches = nn.Sequential(*(Branch(width) for _ in range(depth)))
        self.group = Likeness(width)
        nn.init.normal_(self.articles.weight, std=0.2)

    def forward(self, articles: Tensor) -> Tensor:
        return self.group(self.branches(self.articles(articles)))


model = BasketModel().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(250):
    articles, group = baskets(64)
    loss = F.cross_entropy(model(articles.to(device)), group.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    articles, group = baskets(2000)
    right = (model(articles.to(device)).argmax(1).cpu() == group).float().mean().item()
print(f"test accuracy {right:.3f}")
