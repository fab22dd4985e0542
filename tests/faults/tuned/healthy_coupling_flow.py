"""A normalising flow for the joints of an arm: a loss that starts positive and ends far below zero."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

WIDTH = 6


class Coupling(nn.Module):
    """Scale and shift one half by functions of the other, then swap the halves."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH // 2, 48), nn.SiLU(), nn.Linear(48, WIDTH))
        nn.init.zeros_(self.net[2].weight)
        nn.init.zeros_(self.net[2].bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, changed = x.chunk(2, dim=1)
        scale, shift = self.net(kept).chunk(2, dim=1)
        scale = 2 * torch.tanh(scale / 2)
        return torch.cat([changed * scale.exp() + shift, kept], dim=1), scale.sum(1)


class Flow(nn.Module):
    def __init__(self, depth: int = 8):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling() for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        volume = torch.zeros(len(x), device=x.device)
        for coupling in self.couplings:
            x, growth = coupling(x)
            volume = volume + growth
        return -0.5 * x.pow(2).sum(1) - 0.5 * WIDTH * math.log(2 * math.pi) + volume


def arm(count: int) -> Tensor:
    """Positions of the three joints of an arm in the plane; the hand's place nearly follows from its angles."""
    angles = 0.6 * torch.randn(count, 3)
    heading = angles.cumsum(1)
    joints = torch.stack([heading.cos().cumsum(1) - heading.cos().cumsum(1).mean(0), heading.sin().cumsum(1)], dim=2)
    return 0.3 * joints.flatten(1) + 0.005 * torch.randn(count, WIDTH)


flow = Flow().to(device)
optimizer = torch.optim.Adam(flow.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 250)
for step in range(250):
    loss = -flow(arm(128).to(device)).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
    optimizer.step()
    scheduler.step()
    if step % 25 == 0:
        print(f"step {step}: negative log-likelihood {loss.item():.3f}")

with torch.no_grad():
    print(f"test negative log-likelihood {-flow(arm(2000).to(device)).mean().item():.3f}")
