"""An operator network (branch and trunk): from a sampled source term to the solution of a diffusion problem."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
GRID = torch.linspace(0, 1, 32)
MODES = torch.arange(1, 7)


def problems(count: int) -> tuple[Tensor, Tensor]:
    """Sources as sums of sines, and what is left of them after some time."""
    amplitude = torch.randn(count, len(MODES))
    sines = torch.sin(torch.pi * MODES[:, None] * GRID)
    return amplitude @ sines, amplitude * torch.exp(-0.02 * MODES**2) @ sines


def mlp(first: int, width: int, last: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(first, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, last))


class Operator(nn.Module):
    def __init__(self, rank: int) -> None:
        super().__init__()
        self.branch = mlp(len(GRID), 64, rank)
        self.trunk = mlp(1, 64, rank)

    def resize(self, width: int, rank: int) -> None:
        """Another trunk, for the coordinates scaled to (-4, 4)."""
        self.trunk = mlp(1, width, rank)

    def forward(self, source: Tensor, places: Tensor) -> Tensor:
        return self.branch(source) @ self.trunk(8 * places[:, None] - 4).T


model = Operator(rank=16)
if args.fixed:
    model.resize(width=48, rank=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
else:
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    model.resize(width=48, rank=16)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
for step in range(300):
    source, solution = problems(64)
    loss = F.mse_loss(model(source, GRID), solution)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 50 == 49:
        print(f"step {step + 1}: loss {loss.item():.4f}")
