"""A radial basis network for the height of a landscape: places and widths of the bumps, and how high each is."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Bumps(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.places = nn.Parameter(0.3 * torch.randn(count, 2))
        self.log_width = nn.Parameter(torch.full((count,), -1.0))

    def forward(self, x: Tensor) -> Tensor:
        distance = (x[:, None] - self.places).square().sum(-1)
        return torch.exp(-distance * torch.exp(-2 * self.log_width))


class Landscape(nn.Module):
    def __init__(self, count: int = 40) -> None:
        super().__init__()
        self.bumps = Bumps(count)
        self.heights = nn.Linear(count, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.heights(self.bumps(x)))).squeeze(1)


def height(x: Tensor) -> Tensor:
    return torch.sin(2 * x[:, 0]) * torch.cos(1.5 * x[:, 1]) + 0.3 * x[:, 0]


model = Landscape()
weights = [*model.heights.parameters(), *model.out.parameters()]
if args.fixed:
    weights += model.bumps.parameters()
optimizer = torch.optim.AdamW(weights, lr=0.01, weight_decay=1e-4)
for step in range(300):
    x = 4 * torch.rand(128, 2) - 2
    loss = F.mse_loss(model(x), height(x))
    model.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 59:
        print(f"step {step + 1}: loss {loss.item():.4f}")
