"""A GRU forecasts the load of a bakery's oven; the call of the optimizer's step has lost its parentheses."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
days = torch.arange(600.0)
load = torch.sin(days * 0.26) + 0.4 * torch.sin(days * 0.9) + 0.05 * torch.randn(600)
windows = load.unfold(0, 25, 1)
dataset = TensorDataset(windows[:, :24, None], windows[:, 24:])
loader = DataLoader(dataset, batch_size=32, shuffle=True)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        hidden, _ = self.gru(x)
        return self.head(hidden[:, -1])


model = Forecaster()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(8):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        if args.fixed:
            optimizer.step()
        else:
            optimizer.step  # noqa: B018
        total += loss.item() * len(x)
    print(f"epoch {epoch}: loss {total / len(dataset):.4f}")
