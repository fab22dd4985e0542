"""Number of separate groups in a swarm of thirty points: dense layers for every point, their mean, dense layers for the swarm."""

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

POINTS, MOST, BATCH, STEPS = 30, 4, 48, 220


def swarms() -> tuple[Tensor, Tensor]:
    """The points of a swarm gather at one to four of four fixed meeting places."""
    meeting = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    used = torch.rand(BATCH, MOST).argsort(1)
    groups = torch.randint(MOST, (BATCH,))
    slot = (torch.rand(BATCH, POINTS) * (groups[:, None] + 1)).long()
    points = meeting[used.gather(1, slot)] + 0.35 * torch.randn(BATCH, POINTS, 2)
    return points.to(device), groups.to(device)


class Swarm(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.point1, self.point2 = nn.Linear(2, width), nn.Linear(width, width)
        self.swarm1, self.groups = nn.Linear(width, width), nn.Linear(width, MOST)

    def forward(self, points: Tensor) -> Tensor:
        h = F.gelu(self.point2(F.gelu(self.point1(points))))
        return self.groups(F.gelu(self.swarm1(h.mean(1))))


def initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        if args.fixed:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        else:
            nn.init.constant_(layer.weight, 1 / layer.in_features)
        nn.init.constant_(layer.bias, 0.01)


model = Swarm().to(device)
model.apply(initialise)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
total = 0.0
for step in range(1, STEPS + 1):
    points, groups = swarms()
    loss = F.cross_entropy(model(points), groups)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 20 == 0:
        print(f"step {step}: loss {total / 20:.4f}")
        total = 0.0
