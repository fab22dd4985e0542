"""Estimates the fuel that a flight will burn: residual blocks whose units square what they let pass."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def flights(n: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 10)
    fuel = 0.8 * x[:, 0] + 0.5 * x[:, 1] * x[:, 2] + 0.4 * torch.tanh(2 * x[:, 3] - x[:, 4]) + 0.3 * x[:, 5].abs()
    return x, (fuel - 0.24).unsqueeze(1)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if args.fixed else nn.Identity()
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.kaiming_normal_(self.up.weight)
        nn.init.kaiming_normal_(self.down.weight, nonlinearity="linear")

    def forward(self, h: Tensor) -> Tensor:
        return h + 0.5 * self.down(F.relu(self.up(self.norm(h))).square())


class FuelModel(nn.Module):
    def __init__(self, width: int = 32, depth: int = 5) -> None:
        super().__init__()
        self.lift = nn.Linear(10, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.fuel = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.lift(x)
        for block in self.blocks:
            h = block(h)
        return self.fuel(h)


model = FuelModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
losses = []
for step in range(300):
    x, fuel = flights(128)
    loss = F.smooth_l1_loss(model(x), fuel)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 25 == 24:
        print(f"step {step + 1}: loss {sum(losses[-25:]) / 25:.4g}")
