"""Learns the compressibility of a gas from pressure in pascal, temperature in kelvin and composition."""

import argparse

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def measurements(n: int) -> tuple[Tensor, Tensor]:
    pressure = 1e5 + 6e6 * torch.rand(n, 1)
    temperature = 260 + 180 * torch.rand(n, 1)
    share = torch.rand(n, 1)
    reduced_pressure, reduced_temperature = pressure / (3.5e6 + 2e6 * share), temperature / (190 + 60 * share)
    z = 1 + 0.083 * reduced_pressure / reduced_temperature - 0.422 * reduced_pressure / reduced_temperature**2.6
    return torch.cat([pressure, temperature, share], dim=1), (z - 0.9) / 0.1


x, y = measurements(1024)
if args.fixed:
    x = (x - x.mean(dim=0)) / x.std(dim=0)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(3, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    total = 0.0
    for inputs, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: mean squared error {total / len(loader):.5g}")
