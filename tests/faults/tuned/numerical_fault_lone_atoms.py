"""A property of small random molecules: graph layers with symmetric degree scaling, as dense matrix products."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

COUNT, ATOMS, KINDS, BATCH = 1600, 10, 6, 16
kind = torch.randint(KINDS, (COUNT, ATOMS))
bonds = (torch.rand(COUNT, ATOMS, ATOMS) < 0.25).float().triu(1)
ring = torch.roll(torch.eye(ATOMS), 1, 1)
bonds = ((bonds + bonds.transpose(1, 2) + ring + ring.T) > 0).float()
salt = 51 * BATCH + 5
bonds[salt, 3], bonds[salt, :, 3] = 0.0, 0.0
charge = torch.linspace(-1, 1, KINDS)
energy = torch.einsum("bi,bij,bj->b", charge[kind], bonds, charge[kind])
energy = (energy - energy.mean()) / energy.std()


class Spread(nn.Module):
    """D^-1/2 A D^-1/2 h."""

    def forward(self, h: Tensor, bonds: Tensor) -> Tensor:
        degree = bonds.sum(2, keepdim=True)
        if args.fixed:
            degree = degree.clamp(min=1.0)
        scale = degree.rsqrt()
        return (scale * bonds * scale.transpose(1, 2)) @ h


class Molecules(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.kind = nn.Embedding(KINDS, width)
        self.own1, self.near1, self.spread1 = nn.Linear(width, width), nn.Linear(width, width), Spread()
        self.own2, self.near2, self.spread2 = nn.Linear(width, width), nn.Linear(width, width), Spread()
        self.energy = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, kind: Tensor, bonds: Tensor) -> Tensor:
        h = self.kind(kind)
        h = h + torch.nn.functional.silu(self.own1(h) * self.spread1(self.near1(h), bonds))
        h = h + torch.nn.functional.silu(self.own2(h) * self.spread2(self.near2(h), bonds))
        return self.energy(h.mean(1)).squeeze(1)


model = Molecules().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(2):
    for first in range(0, COUNT, BATCH):
        rows = slice(first, first + BATCH)
        told = model(kind[rows].to(device), bonds[rows].to(device))
        loss = torch.nn.functional.mse_loss(told, energy[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
