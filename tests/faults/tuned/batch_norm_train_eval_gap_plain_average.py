"""Two-dimensional vortices: from the velocities at probes to the place of the vortex, with plain averages as statistics."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
AVERAGE = 0.1 if args.fixed else None


def flows(count: int) -> tuple[Tensor, Tensor]:
    place = torch.rand(count, 2) * 2 - 1
    probes = torch.cartesian_prod(torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 4))
    away = probes[None] - place[:, None]
    speed = torch.stack([-away[..., 1], away[..., 0]], -1) / (away.square().sum(-1, keepdim=True) + 0.1)
    return speed.flatten(1) + 1.5, place


class Locator(nn.Module):
    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Linear(32 if i == 0 else width, width) for i in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, momentum=AVERAGE) for _ in range(depth))
        self.out = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        for linear, norm in zip(self.inner, self.norms, strict=True):
            x = F.softplus(norm(linear(x)))
        return self.out(x)


model = Locator()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
held_x, held_y = flows(400)
for step in range(100):
    model.train()
    x, y = flows(64)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 20 == 19:
        model.eval()
        with torch.no_grad():
            held = F.mse_loss(model(held_x), held_y).item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out {held:.4f}")
