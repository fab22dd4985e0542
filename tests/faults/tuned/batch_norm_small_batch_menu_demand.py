"""Forecasts how many portions of a dish a canteen sells tomorrow, from the last two weeks and the calendar."""

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


def history(dishes: int) -> tuple[Tensor, Tensor]:
    level = torch.randn(dishes, 1)
    phase = torch.randint(0, 7, (dishes, 1))
    week = 0.8 * torch.sin(2 * torch.pi * (torch.arange(15) + phase) / 7)
    sold = level + week * (1 + 0.3 * level) + 0.15 * torch.randn(dishes, 15)
    calendar = F.one_hot(phase.squeeze(1), 7).float()
    return torch.cat((sold[:, :14], calendar), 1), sold[:, 14]


class Demand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(21, 64)
        self.norm1 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, 64)
        self.norm2 = nn.BatchNorm1d(64)
        self.portions = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.fc1(x)))
        x = F.relu(self.norm2(self.fc2(x)))
        return self.portions(x).squeeze(1)


x, y = history(6000)
batch_size = 32 if args.fixed else 2
loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True, drop_last=True)
model = Demand()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
losses: list[float] = []
while len(losses) < 300:
    for rows, sold in loader:
        loss = F.mse_loss(model(rows), sold)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) % 50 == 0:
            print(f"step {len(losses)}: loss {sum(losses[-50:]) / 50:.4f}")
        if len(losses) == 300:
            break
