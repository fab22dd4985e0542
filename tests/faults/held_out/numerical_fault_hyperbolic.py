"""Metric learning in the Poincare disc: digits of a kind are drawn together, others pushed apart."""

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
draw = torch.Generator().manual_seed(5)


class PoincareDistance(nn.Module):
    """Distance of points within the unit ball of constant curvature -1."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        apart = (u - v).square().sum(1)
        room = (1 - u.square().sum(1)) * (1 - v.square().sum(1))
        return torch.acosh(1 + self.margin + 2 * apart / room)


class Ball(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 80), nn.ELU(), nn.Linear(80, 8))
        self.distance = PoincareDistance(1e-5 if args.fixed else 0.0)

    def place(self, x: torch.Tensor) -> torch.Tensor:
        at = self.encoder(x)
        return 0.95 * at / (1 + at.norm(dim=1, keepdim=True))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.distance(self.place(a), self.place(b))


images, labels = digits.load()
x = images.flatten(1)
model = Ball()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.04)
same = labels[:, None] == labels[None]
for step in range(160):
    left = torch.randint(0, len(x), (48,), generator=draw)
    right = torch.randint(0, len(x), (48,), generator=draw)
    partner = torch.multinomial(same[left[:24]].float(), 1, generator=draw)[:, 0]
    right = torch.cat([partner, right[24:]])
    alike = (labels[left] == labels[right]).float()
    far = model(x[left], x[right])
    loss = (alike * far**2 + (1 - alike) * F.relu(4 - far) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"final loss {loss.item():.4f}")
