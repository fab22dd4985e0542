"""The wear of a train's brakes is estimated from the distance it has covered, summed over its speeds."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


SECONDS = 1200
STORE = torch.float32 if args.fixed else torch.float16


class Odometer(nn.Module):
    """Distance in metres at every second, to save memory in the type of the store."""

    def forward(self, speed: Tensor) -> Tensor:
        return torch.cumsum(speed.to(STORE), dim=1)


class Wear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.odometer = Odometer()
        self.local = nn.Conv1d(2, 16, 20, stride=20)
        self.mix = nn.Linear(16 * SECONDS // 20, 48)
        self.wear = nn.Linear(48, 1)

    def forward(self, speed: Tensor) -> Tensor:
        way = self.odometer(speed).float() / 20_000 - 1
        x = torch.stack([speed / 40 - 1, way], dim=1)
        x = F.relu(self.local(x)).flatten(1)
        return self.wear(F.relu(self.mix(x))).squeeze(1)


def rides(n: int, fast: bool) -> tuple[Tensor, Tensor]:
    """Speeds in metres per second, and the wear."""
    cruise = 15 + 30 * torch.rand(n, 1) + (25.0 if fast else 0.0)
    speed = (cruise + 2 * torch.randn(n, SECONDS)).clamp(min=0)
    return speed, (speed.mean(1) - 35) / 15


model = Wear()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(100):
    speed, wear = rides(16, fast=step >= 46 and step % 3 == 1)
    loss = F.smooth_l1_loss(model(speed), wear)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step}: loss {loss.item():.4f}")
