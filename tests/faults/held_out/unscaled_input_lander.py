"""A policy that copies the thrusters of a landing craft from its state."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Policy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.thrust = nn.Linear(64, 4)

    def forward(self, state: Tensor) -> Tensor:
        return self.thrust(self.trunk(state))


def states(size: int) -> tuple[Tensor, Tensor]:
    altitude, fuel = 9000 + 2500 * torch.rand(size), 400 + 200 * torch.rand(size)
    sink, tilt, spin = torch.randn(size), torch.randn(size) * 0.5, torch.randn(size) * 0.5
    braking = sink + 0.8 * (altitude - 10250) / 720
    turning = 2 * tilt + spin
    action = torch.where(turning.abs() > braking.abs(), (turning > 0).long(), 2 + (braking > 0).long())
    return torch.stack([altitude, fuel, sink, tilt, spin], 1), action


def scaled(state: Tensor) -> Tensor:
    return (state - torch.tensor([10250.0, 500.0, 0.0, 0.0, 0.0])) / torch.tensor([720.0, 58.0, 1.0, 0.5, 0.5])


model = Policy()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
losses = []
for step in range(250):
    state, action = states(128)
    loss = F.cross_entropy(model(scaled(state) if args.fixed else state), action)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = sum(losses[-20:]) / 20
print(f"final loss {final:.4f}")
