"""How much two noisy sensors know of one another: a lower bound on mutual information, raised by a critic network."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Critic(nn.Module):
    def __init__(self, size: int, width: int = 96) -> None:
        super().__init__()
        self.first = nn.Linear(2 * size, width)
        self.second = nn.Linear(width, width)
        self.value = nn.Linear(width, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.value(F.elu(self.second(F.elu(self.first(torch.cat([x, y], 1)))))).squeeze(1)


def sensors(count: int, size: int = 4, shared: float = 0.7) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, size)
    return x, shared * x + math.sqrt(1 - shared**2) * torch.randn(count, size)


model = Critic(4)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
truth = -2 * math.log(1 - 0.7**2)
for step in range(300):
    x, y = sensors(256)
    joint = model(x, y)
    apart = model(x, y[torch.randperm(256)])
    # the bound of Nguyen, Wainwright and Jordan; its negative is minimised
    loss = -(joint.mean() - (apart - 1).exp().mean())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 2.0)
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step + 1}: loss {loss.item():.4f} (true information {truth:.3f})")
