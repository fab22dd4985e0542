"""The joint angles of a planar arm from the place of its hand and elbow, with two examples a step."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def poses(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    angle = torch.rand(count, 3) * 2 - 1
    along = angle.cumsum(1)
    x, y = torch.cos(along).cumsum(1), torch.sin(along).cumsum(1)
    return torch.cat([x[:, 1:] - 1.5, y[:, 1:]], 1), angle * 1.7


def norm(width: int) -> nn.Module:
    return nn.LayerNorm(width) if args.fixed else nn.BatchNorm1d(width)


class Arm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 64)
        self.norm_enter = norm(64)
        self.bend = nn.Linear(64, 64)
        self.norm_bend = norm(64)
        self.angles = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm_enter(self.enter(x)))
        x = F.relu(self.norm_bend(self.bend(x)))
        return self.angles(x)


model = Arm()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
recent = []
for step in range(300):
    place, angle = poses(2)
    loss = F.smooth_l1_loss(model(place), angle)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-100:]
    if step % 60 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"mean loss of the last hundred steps: {sum(recent) / len(recent):.4f}")
