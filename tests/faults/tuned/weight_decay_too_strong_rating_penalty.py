"""Factorises a table of ratings with vectors and biases; the penalty on the vectors is added to the loss by hand."""

import argparse

import torch
from torch import Tensor, nn


class Factors(nn.Module):
    def __init__(self, rows: int, columns: int, rank: int) -> None:
        super().__init__()
        self.row = nn.Embedding(rows, rank)
        self.column = nn.Embedding(columns, rank)
        self.mean = nn.Parameter(torch.zeros(()))
        for table in (self.row, self.column):
            nn.init.normal_(table.weight, std=0.4)

    def forward(self, row: Tensor, column: Tensor) -> Tensor:
        return self.mean + (self.row(row) * self.column(column)).sum(-1)

    def penalty(self) -> Tensor:
        return self.row.weight.square().sum() + self.column.weight.square().sum()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    strength = 1e-6 if args.fixed else 2e-3

    source = torch.Generator().manual_seed(2)
    left, right = torch.randn(150, 5, generator=source), torch.randn(120, 5, generator=source)
    table = 0.7 + left @ right.T / 5**0.5 + 0.1 * torch.randn(150, 120, generator=source)
    cells = torch.randperm(table.numel(), generator=source)[:9000]
    model = Factors(150, 120, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for epoch in range(8):
        total = 0.0
        for part in cells[torch.randperm(len(cells))].split(300):
            row, column = part // 120, part % 120
            error = (model(row, column) - table[row, column]).square().mean()
            loss = error + strength * model.penalty()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += error.item() / 30
        print(f"epoch {epoch}: mean squared error {total:.4f}")


if __name__ == "__main__":
    main()
