"""Fits the energy of clusters of particles with a network cast to float16 for its forward pass."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
KIND = torch.float32 if args.fixed else torch.float16


class Distances(nn.Module):
    """Squared distances of all pairs in picometres, then their logarithm."""

    def forward(self, places: Tensor) -> Tensor:
        places = (100 * places).to(KIND)
        squares = (places[:, :, None] - places[:, None, :]).pow(2).sum(dim=3)
        rows, columns = torch.triu_indices(5, 5, 1)
        return (squares[:, rows, columns].float() / 1e4 + 1e-3).log()


def clusters(n: int) -> tuple[Tensor, Tensor]:
    places = 0.9 * torch.randn(n, 5, 3)
    distance = torch.cdist(places, places) + torch.eye(5)
    return places, (distance.reciprocal().triu(1).sum(dim=(1, 2)) - 8)[:, None].clamp(-8, 8) / 3


model = nn.Sequential(Distances(), nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(150):
    places, energy = clusters(64)
    loss = nn.functional.mse_loss(model(places), energy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
