"""Calls of bats, learned on the device from one recording at a time: group norms and plain descent."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Calls(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, width, 7, stride=2)
        self.first_norm = nn.GroupNorm(4, width)
        self.second = nn.Conv1d(width, width, 5, stride=2)
        self.second_norm = nn.GroupNorm(4, width)
        self.kind = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first_norm(self.first(x)))
        x = F.relu(self.second_norm(self.second(x)))
        return self.kind(x.mean(2))


def calls(count: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 3, (count,))
    t = torch.arange(64) / 64
    pitch = torch.tensor([4.0, 9.0, 15.0])[kind, None] * (0.95 + 0.1 * torch.rand(count, 1))
    return (torch.sin(6.28 * pitch * t + 6.28 * torch.rand(count, 1)) + 0.3 * torch.randn(count, 64))[:, None], kind


model = Calls()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
x_held, kind_held = calls(300)
for step in range(300):
    x, kind = calls(1)
    loss = F.cross_entropy(model(x), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        with torch.no_grad():
            right = (model(x_held).argmax(1) == kind_held).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out right {right:.3f}")
