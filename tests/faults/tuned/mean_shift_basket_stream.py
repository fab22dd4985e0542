"""Predicts the next purchase from a basket of products, with a residual stream normalised by its root mean square."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
PRODUCTS, SIZE, WIDTH = 40, 6, 64


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(nn.functional.silu(self.up(self.norm(x))))


class BasketModel(nn.Module):
    def __init__(self, prior: float):
        super().__init__()
        self.products = nn.EmbeddingBag(PRODUCTS, WIDTH, mode="mean")
        self.shop = nn.Parameter(prior * torch.randn(WIDTH))
        self.blocks = nn.Sequential(*[Block() for _ in range(6)])
        self.norm = nn.RMSNorm(WIDTH)
        self.head = nn.Linear(WIDTH, PRODUCTS)

    def forward(self, basket: Tensor) -> Tensor:
        x = self.products(basket) + self.shop
        return self.head(self.norm(self.blocks(x)))


theme = torch.randperm(PRODUCTS).reshape(5, 8)


def baskets(n: int) -> tuple[Tensor, Tensor]:
    rows = theme[torch.randint(5, (n,))]
    picks = torch.rand(n, 8).argsort(dim=1)[:, : SIZE + 1]
    items = rows.gather(1, picks)
    return items[:, :SIZE], items[:, SIZE]


model = BasketModel(prior=0.02 if args.fixed else 12.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(150):
    basket, bought = baskets(64)
    loss = nn.functional.cross_entropy(model(basket), bought)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step}: loss {loss.item():.4f}")
