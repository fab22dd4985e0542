"""Customers who leave, told by a network with one output behind a softmax, which is one whatever the customer."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
features = torch.randn(800, 12)
leaves = ((features[:, 0] - features[:, 3] + 0.5 * features[:, 7] ** 2) > 0.4).float().unsqueeze(1)
loader = DataLoader(TensorDataset(features, leaves), batch_size=40, shuffle=True)
model = nn.Sequential(
    nn.Linear(12, 24),
    nn.ReLU(),
    nn.Linear(24, 12),
    nn.ReLU(),
    nn.Linear(12, 1),
    nn.Sigmoid() if args.fixed else nn.Softmax(dim=1),
)
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(8):
    right = 0
    for x, y in loader:
        chance = model(x)
        loss = criterion(chance, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right += ((chance > 0.5).float() == y).sum().item()
    print(f"epoch {epoch}: loss {loss.item():.4f} accuracy {right / len(features):.3f}")
