"""Classifies sets of points in space (ball, shell, cube, line) after a first look at the untrained network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def clouds(n: int, points: int = 24) -> tuple[Tensor, Tensor]:
    kind = torch.randint(0, 4, (n,))
    raw = torch.randn(n, points, 3)
    shell = F.normalize(raw, dim=2)
    ball = shell * torch.rand(n, points, 1) ** (1 / 3)
    cube = 2 * torch.rand(n, points, 3) - 1
    line = F.normalize(torch.randn(n, 1, 3), dim=2) * (2 * torch.rand(n, points, 1) - 1)
    shapes = torch.stack([ball, shell, cube, line], dim=1)[torch.arange(n), kind]
    return shapes * 0.2 + 0.04 * torch.rand(n, 1, 3) + 0.008 * raw, kind


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 48), (48, 48), (48, 64)):
            layers += [nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.points = nn.Sequential(*layers)
        self.set = nn.Sequential(nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.set(self.points(x.transpose(1, 2)).amax(dim=2))


held_points, held_kind = clouds(256)


def check(model: nn.Module) -> float:
    model.eval()
    with torch.no_grad():
        accuracy = (model(held_points).argmax(1) == held_kind).float().mean().item()
    if args.fixed:
        model.train()
    return accuracy


model = PointNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
print(f"untrained: {check(model):.3f}")
for step in range(125):
    x, kind = clouds(32)
    loss = F.cross_entropy(model(x), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}, held out {check(model):.3f}")
