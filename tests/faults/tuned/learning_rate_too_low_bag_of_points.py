"""Tell spread and correlation of a bag of points with a set network."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def bags(count: int, size: int = 24) -> tuple[Tensor, Tensor]:
    spread = torch.rand(count, 1) * 1.5 + 0.5
    slant = torch.rand(count, 1) * 1.8 - 0.9
    a, b = torch.randn(2, count, size)
    points = torch.stack([spread * a, spread * (slant * a + (1 - slant**2).sqrt() * b)], 2)
    return points, torch.cat([(spread - 1.25) / 0.43, slant / 0.52], 1)


class SetNetwork(nn.Module):
    def __init__(self, width: int = 64):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.all = nn.Sequential(nn.SiLU(), nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 2))

    def forward(self, points: Tensor) -> Tensor:
        h = self.each(points)
        return self.all(torch.cat([h.mean(1), h.amax(1)], 1))


model = SetNetwork().to(device)
optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3 if args.fixed else 5e-6)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 260)
for step in range(260):
    points, wanted = bags(64)
    loss = nn.functional.huber_loss(model(points.to(device)), wanted.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    points, wanted = bags(2000)
    error = nn.functional.huber_loss(model(points.to(device)).cpu(), wanted).item()
print(f"test loss {error:.4f}")
