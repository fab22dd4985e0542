"""Completes a table of ratings from products of small factors: long plateaus, then one direction after the other is found."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

ROWS, COLUMNS, RANK = 40, 30, 3


class Factors(nn.Module):
    """A product of three linear maps that start close to zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.Linear(ROWS, width, bias=False)
        self.middle = nn.Linear(width, width, bias=False)
        self.columns = nn.Linear(width, COLUMNS, bias=False)
        for layer in (self.rows, self.middle, self.columns):
            nn.init.normal_(layer.weight, 0.0, 0.03)

    def forward(self, x: Tensor) -> Tensor:
        return self.columns(self.middle(self.rows(x)))


u, v = torch.linalg.qr(torch.randn(ROWS, RANK))[0], torch.linalg.qr(torch.randn(COLUMNS, RANK))[0]
table = (u * torch.tensor([10.0, 7.0, 5.0])) @ v.T
known = (torch.rand(ROWS, COLUMNS) < 0.8).to(device)
table = table.to(device)
everyone = torch.eye(ROWS, device=device)
model = Factors(20).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.012)
for step in range(300):
    error = model(everyone) - table
    loss = 0.5 * (error * known).pow(2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step}: loss {loss.item():.4f}, hidden ratings {error[~known].pow(2).mean().item():.4f}")
