"""Predicts whether a loan is repaid from ten columns of the bank's table, with a gated perceptron."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
ROWS = 4000


def table() -> tuple[Tensor, Tensor]:
    z = torch.randn(ROWS, 10)
    score = 1.5 * z[:, 0] * z[:, 1] + 2 * torch.tanh(z[:, 2]) - z[:, 3] + 0.8 * z[:, 6]
    repaid = (score + 0.5 * torch.randn(ROWS) > 0).float()
    columns = z.clone()
    columns[:, 6] = 52_000 + 14_000 * z[:, 6]  # income of the household
    return columns, repaid


class Gated(nn.Module):
    def __init__(self, fan_in: int, fan_out: int):
        super().__init__()
        self.both = nn.Linear(fan_in, 2 * fan_out)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.glu(self.both(x), dim=1)


columns, repaid = table()
if args.fixed:
    columns = (columns - columns.mean(dim=0)) / columns.std(dim=0)
model = nn.Sequential(Gated(10, 64), Gated(64, 32), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(4):
    for rows in torch.randperm(ROWS).split(64):
        loss = nn.functional.binary_cross_entropy_with_logits(model(columns[rows])[:, 0], repaid[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
