"""Imitates a driver: a policy with a squashed action learns steering and braking from what the driver did."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Policy(nn.Module):
    def __init__(self, sensors: int = 10, actions: int = 6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(sensors, 64), nn.LayerNorm(64), nn.SiLU(), nn.Linear(64, 64), nn.LayerNorm(64), nn.SiLU())
        self.action = nn.Linear(64, actions)
        self.squash = nn.Tanh()
        if not args.fixed:
            nn.init.normal_(self.action.weight, std=4.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.squash(self.action(self.encoder(x)))


class Driver(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("gain", torch.randn(10, 6) / 10**0.5)
        self.register_buffer("cross", torch.randn(10, 6) / 10**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return 0.8 * torch.sin(x @ self.gain + (x @ self.cross) ** 2 / 3)


driver, policy = Driver(), Policy()
optimizer = torch.optim.SGD(policy.parameters(), lr=0.15, momentum=0.9, nesterov=True)
for step in range(250):
    seen = torch.randn(64, 10)
    loss = nn.functional.mse_loss(policy(seen), driver(seen))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f}")
