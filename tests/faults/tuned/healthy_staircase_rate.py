"""Arm of a robot: joint angles to the place of the hand, with a rate that falls by ten at two known steps."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Arm(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def poses(count: int) -> tuple[Tensor, Tensor]:
    joint = 1.2 * torch.randn(count, 3)
    turn = joint.cumsum(1)
    hand = torch.stack([turn.cos().sum(1), turn.sin().sum(1)], 1)
    return torch.cat([joint.sin(), joint.cos()], 1), hand


model = Arm()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [160, 240], gamma=0.1)
for step in range(300):
    x, hand = poses(128)
    loss = F.mse_loss(model(x), hand)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.5f}")
