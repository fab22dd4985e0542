"""Learn to steer from an expert by imitation: drive with the policy, ask the expert what it would have done, train on it."""

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

RAYS, ACTIONS = 12, 3
angles = torch.linspace(-1.2, 1.2, RAYS)


def look(side: Tensor, heading: Tensor) -> Tensor:
    """Distances to the walls of a road of width 2, along twelve rays."""
    direction = (heading.unsqueeze(1) + angles).sin()
    wall = torch.where(direction > 0, 1 - side.unsqueeze(1), 1 + side.unsqueeze(1))
    return (wall.clamp(min=0.02) / direction.abs().clamp(min=0.1)).clamp(max=5) / 2 - 1


def expert(side: Tensor, heading: Tensor) -> Tensor:
    wanted = -0.8 * side - heading
    return (wanted > 0.1).long() + (wanted > -0.1).long()


class Policy(nn.Module):
    def __init__(self, width: int = 64, depth: int = 8):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(RAYS if i == 0 else width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.action = nn.Linear(width, ACTIONS)

    def forward(self, view: Tensor) -> Tensor:
        return self.action(self.body(view))


@torch.no_grad()
def drive(policy: Policy, moments: int = 12, cars: int = 64) -> tuple[Tensor, Tensor]:
    policy.eval()
    side, heading = torch.rand(cars) * 1.6 - 0.8, torch.randn(cars) * 0.4
    views, advice = [], []
    for _ in range(moments):
        view = look(side, heading)
        views.append(view)
        advice.append(expert(side, heading))
        action = policy(view.to(device)).argmax(1).cpu()
        heading = (heading + 0.2 * (action - 1) + 0.15 * torch.randn(cars)).clamp(-1, 1)
        side = (side + 0.3 * heading.sin()).clamp(-0.98, 0.98)
    return torch.cat(views), torch.cat(advice)


model = Policy().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
views, advice = torch.empty(0, RAYS), torch.empty(0, dtype=torch.long)
for drives in range(10):
    seen, told = drive(model)
    views, advice = torch.cat([views, seen]), torch.cat([advice, told])
    if args.fixed:
        model.train()
    for _ in range(20):
        rows = torch.randint(len(views), (64,))
        loss = F.cross_entropy(model(views[rows].to(device)), advice[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"drive {drives}: loss {loss.item():.4f}")

seen, told = drive(model, moments=30, cars=64)
with torch.no_grad():
    print(f"agrees with the expert: {(model(seen.to(device)).argmax(1).cpu() == told).float().mean().item():.3f}")
