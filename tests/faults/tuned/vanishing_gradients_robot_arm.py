"""A deep network with softsign units computes where the hand of a robot arm is from its joint angles."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


JOINTS = 4


def poses(n: int) -> tuple[Tensor, Tensor]:
    angles = torch.rand(n, JOINTS) * 2 - 1
    total = torch.cumsum(angles * 1.5, dim=1)
    hand = torch.stack([torch.cos(total).sum(1), torch.sin(total).sum(1)], dim=1)
    return angles, hand


class Arm(nn.Module):
    def __init__(self, width: int = 64, depth: int = 9):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(JOINTS if i == 0 else width, width) for i in range(depth))
        self.hand = nn.Linear(width, 2)
        self.squash = nn.Softsign()
        for layer in self.layers:
            if args.fixed:
                nn.init.xavier_normal_(layer.weight, gain=1.7)
            else:
                nn.init.normal_(layer.weight, std=0.05)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.squash(layer(x))
        return self.hand(x)


model = Arm()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
for step in range(250):
    angles, hand = poses(128)
    loss = F.mse_loss(model(angles), hand)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step}: loss {loss.item():.4f}")
