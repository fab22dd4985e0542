"""Learn the acceleration of a damped, driven pendulum from its state."""

import argparse
import itertools
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pendulum(count: int) -> tuple[Tensor, Tensor]:
    """Draw angle, speed and phase of the drive, each over its range, and the acceleration."""
    state = 2 * torch.rand(count, 3) - 1
    angle, speed, phase = (math.pi * state).unbind(1)
    return state * 3**0.5, (-torch.sin(angle) - 0.2 * speed + 0.5 * torch.cos(phase)).unsqueeze(1)


class Acceleration(nn.Module):
    def __init__(self, width: int = 40, depth: int = 7):
        super().__init__()
        sizes = [3] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.out = nn.Linear(width, 1)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight, gain=1.2 if args.fixed else 0.3)
            nn.init.zeros_(layer.bias)
        self.squash = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.squash(layer(x))
        return self.out(x)


model = Acceleration().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 200, gamma=0.3)
criterion = nn.SmoothL1Loss()
for step in range(300):
    state, target = pendulum(64)
    loss = criterion(model(state.to(device)), target.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.5f}")

with torch.no_grad():
    state, target = pendulum(2000)
    print(f"test loss {criterion(model(state.to(device)), target.to(device)).item():.5f}")
