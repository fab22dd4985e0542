"""Torques of a two-jointed arm from angles, speeds and accelerations: three layers of hyperbolic tangents."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

BATCH, STEPS = 128, 250


def motions() -> tuple[Tensor, Tensor]:
    angle = (torch.rand(BATCH, 2) * 2 - 1) * torch.pi
    speed, push = torch.randn(BATCH, 2), torch.randn(BATCH, 2)
    bend = angle[:, 1].cos()
    first = (2 + bend) * push[:, 0] + (0.7 + 0.5 * bend) * push[:, 1] - angle[:, 1].sin() * speed[:, 0] * speed[:, 1]
    second = (0.7 + 0.5 * bend) * push[:, 0] + 0.7 * push[:, 1] + angle[:, 1].sin() * speed[:, 0] ** 2
    told = torch.cat([angle.sin(), angle.cos(), speed, push], 1)
    return told.to(device), (torch.stack([first, second], 1) / 2).to(device)


class Torque(nn.Module):
    def __init__(self, width: int = 96):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, width)
        self.torque = nn.Linear(width, 2)
        self.squash1, self.squash2, self.squash3 = nn.Tanh(), nn.Tanh(), nn.Tanh()
        for layer in (self.one, self.two, self.three):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5 if args.fixed else 1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squash1(self.one(x))
        x = self.squash2(self.two(x))
        return self.torque(self.squash3(self.three(x)))


model = Torque().to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
total = 0.0
for step in range(1, STEPS + 1):
    told, torque = motions()
    loss = F.mse_loss(model(told), torque)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 25 == 0:
        print(f"step {step}: loss {total / 25:.4f}")
        total = 0.0
