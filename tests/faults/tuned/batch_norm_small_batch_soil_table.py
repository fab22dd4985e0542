"""Regression of soil moisture from a table of measurements, a handful of rows at a time."""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


def norm(width: int, by_sample: bool) -> nn.Module:
    return nn.LayerNorm(width) if by_sample else nn.BatchNorm1d(width)


class Regressor(nn.Module):
    def __init__(self, columns: int, width: int, by_sample: bool) -> None:
        super().__init__()
        self.lift = nn.Linear(columns, width)
        self.norm1 = norm(width, by_sample)
        self.hidden = nn.Linear(width, width)
        self.norm2 = norm(width, by_sample)
        self.last = nn.Linear(width, 1)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm1(self.lift(x)))
        x = self.act(self.norm2(self.hidden(x)))
        return self.last(x).squeeze(-1)


def rows(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 9)
    moisture = 1.2 * x[:, 0] - 0.8 * x[:, 1] + 0.7 * x[:, 2] * x[:, 3] + torch.sin(2 * x[:, 4])
    return x, moisture + 0.1 * torch.randn(count)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true", help="train without the fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = Regressor(9, 64, by_sample=args.fixed)
    loader = DataLoader(TensorDataset(*rows(300)), batch_size=3, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=300)
    for epoch in range(3):
        total = 0.0
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / len(loader)
        print(f"epoch {epoch}: mean squared error {total:.4f}")


if __name__ == "__main__":
    main()
