"""Predict a price from a table: year, area in square metres, income, rooms."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

n = 2000
year = torch.randint(1900, 2020, (n,)).float()
area = 30 + 200 * torch.rand(n)
income = 20_000 + 80_000 * torch.rand(n)
rooms = torch.randint(1, 8, (n,)).float()
price = 0.02 * area + 0.01 * (year - 1960) + income / 50_000 + 0.2 * rooms + 0.1 * torch.randn(n)
table = torch.stack([year, area, income, rooms], dim=1)
target = (price - price.mean()) / price.std()
if args.fixed:
    table = (table - table.mean(dim=0)) / table.std(dim=0)
loader = DataLoader(TensorDataset(table, target), batch_size=50, shuffle=True)
model = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.MSELoss()
for epoch in range(4):
    total = 0.0
    for x, y in loader:
        loss = criterion(model(x.to(device)).squeeze(1), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")
