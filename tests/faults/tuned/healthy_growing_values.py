"""Values of states on a ring by temporal differences: the loss is small early, while the bootstrapped targets still grow."""

import argparse
import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
DISCOUNT = 0.9


def walk(angle: Tensor) -> tuple[Tensor, Tensor]:
    reward = 1 + torch.cos(angle)
    return angle + 0.3 + 0.1 * torch.randn_like(angle), reward


def features(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], dim=1)


value = nn.Sequential(nn.Linear(2, 48), nn.ELU(), nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 1))
target = copy.deepcopy(value).requires_grad_(False)
optimizer = torch.optim.Adam(value.parameters(), lr=3e-3)

# What the values must come to: the discounted mean rewards over many steps.
places = torch.linspace(0, 6.28, 64)
lag = torch.arange(200)[:, None]
exact = (DISCOUNT**lag * (1 + torch.exp(-0.005 * lag) * torch.cos(places + 0.3 * lag))).sum(0)

for step in range(400):
    angle = 6.28 * torch.rand(64)
    after, reward = walk(angle)
    goal = reward + DISCOUNT * target(features(after)).squeeze(1)
    loss = F.mse_loss(value(features(angle)).squeeze(1), goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), value.parameters(), strict=True):
            slow.lerp_(fast, 0.1)
    if step % 80 == 79:
        error = F.mse_loss(value(features(places)).squeeze(1), exact).item()
        print(f"step {step + 1}: loss {loss.item():.4f} error of the values {error:.4f}")
