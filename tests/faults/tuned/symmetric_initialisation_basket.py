"""A factorisation machine: which goods in a basket go together, by pairs of factors."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
GOODS, FACTORS = 40, 12
taste = torch.randn(GOODS, 4) / 2
sign = torch.tensor([1.0, 1.0, -1.0, -1.0])


def baskets(count: int) -> tuple[Tensor, Tensor]:
    basket = (torch.rand(count, GOODS) < 0.2).float()
    pairs = ((basket @ taste).square() - basket @ taste.square()) / 2
    return basket, (pairs * sign).sum(1)


class FactorMachine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.single = nn.Linear(GOODS, 1)
        self.factors = nn.Linear(GOODS, FACTORS, bias=False)
        self.weigh = nn.Linear(FACTORS, 1)
        for weight in (self.factors.weight, self.weigh.weight):
            if args.fixed:
                nn.init.normal_(weight, std=0.1)
            else:
                nn.init.constant_(weight, 0.1)

    def forward(self, basket: Tensor) -> Tensor:
        pairs = (self.factors(basket).square() - basket @ self.factors.weight.T.square()) / 2
        return (self.single(basket) + self.weigh(pairs)).squeeze(1)


model = FactorMachine()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for step in range(300):
    basket, value = baskets(256)
    loss = F.mse_loss(model(basket), value)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step + 1}: loss {loss.item():.4f} of {value.var().item():.4f}")
