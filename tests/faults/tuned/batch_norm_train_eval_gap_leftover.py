"""A wide-and-deep regressor on tables, with the momentum of another framework."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
MOMENTUM = 0.1 if args.fixed else 0.99


def table(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 10)
    return x, torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3:6].sum(1)


class WideAndDeep(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.wide = nn.Linear(10, 1)
        self.deep1 = nn.Linear(10, width)
        self.norm1 = nn.BatchNorm1d(width, momentum=MOMENTUM)
        self.deep2 = nn.Linear(width, width)
        self.norm2 = nn.BatchNorm1d(width, momentum=MOMENTUM)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(self.norm1(self.deep1(x)))
        h = F.elu(self.norm2(self.deep2(h)))
        return (self.wide(x) + self.out(h)).squeeze(1)


x, y = table(1283)  # twenty batches of 64, and three rows over
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
held_x, held_y = table(512)
model = WideAndDeep()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
for epoch in range(8):
    model.train()
    total = 0.0
    for batch, target in loader:
        loss = F.mse_loss(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch) / len(x)
    model.eval()
    with torch.no_grad():
        held = F.mse_loss(model(held_x), held_y).item()
    print(f"epoch {epoch}: loss {total:.4f} held out {held:.4f}")
