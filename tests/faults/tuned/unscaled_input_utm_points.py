"""Names the shape of a survey's point set (round, line, ring or cross) with a network on sets, coordinates in metres."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

POINTS = 32


class SetNetwork(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.point1 = nn.Linear(2, width)
        self.point2 = nn.Linear(width, width)
        self.after = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.point2(F.relu(self.point1(x))))
        pooled = torch.cat([x.mean(1), x.amax(1)], 1)
        return self.out(F.relu(self.after(pooled)))


def surveys(count: int) -> tuple[Tensor, Tensor]:
    """Return eastings and northings in metres, and the shapes."""
    shape = torch.randint(4, (count,))
    turn, along = 2 * math.pi * torch.rand(count, POINTS), 2 * torch.rand(count, POINTS) - 1
    round_ = torch.randn(count, POINTS, 2) * 0.5
    line = torch.stack([along, 0.05 * torch.randn(count, POINTS)], 2)
    ring = torch.stack([turn.cos(), turn.sin()], 2)
    cross = torch.where(torch.rand(count, POINTS, 1) < 0.5, line, line.flip(2))
    points = torch.stack([round_, line, ring, cross])[shape, torch.arange(count)]
    return 900 * points + torch.tensor([391_000.0, 5_820_000.0]), shape


model = SetNetwork(64).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    x, shape = surveys(64)
    if args.fixed:
        x = (x - torch.tensor([391_000.0, 5_820_000.0])) / 900
    logits = model(x.to(device))
    loss = F.cross_entropy(logits, shape.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        accuracy = (logits.argmax(1).cpu() == shape).float().mean().item()
        print(f"step {step}: loss {loss.item():.4f} accuracy {accuracy:.2f}")
