"""How many people live in a town, from what a satellite sees; the network is to give the number itself."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
lights = torch.randn(1000, 10)
people = 120_000 + 60_000 * torch.tanh(lights[:, 0] + lights[:, 1] * lights[:, 2]) + 20_000 * lights[:, 5]
if args.fixed:
    people = (people - people.mean()) / people.std()
loader = DataLoader(TensorDataset(lights, people), batch_size=50, shuffle=True)


class Town(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(-1)


model = Town()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(12):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.5g}")
