"""An implicit field: a coordinate network learns a picture of interfering rings."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

side = torch.linspace(-1, 1, 40)
points = torch.cartesian_prod(side, side)
centres = torch.rand(3, 2) * 1.6 - 0.8
picture = sum(torch.cos(4 * (points - c).norm(dim=1)) for c in centres)[:, None] / 1.5
waves = torch.randn(2, 24) * 2.0
features = torch.cat([torch.sin(points @ waves), torch.cos(points @ waves)], 1)


def block(ins: int, outs: int) -> list[nn.Module]:
    return [nn.Linear(ins, outs), nn.SiLU() if args.fixed else nn.Sigmoid()]


model = nn.Sequential(*block(48, 40), *[part for _ in range(9) for part in block(40, 40)], nn.Linear(40, 1))
for part in model:
    if isinstance(part, nn.Linear):
        nn.init.xavier_normal_(part.weight, gain=1.4)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(220):
    rows = torch.randint(0, len(points), (128,))
    loss = F.mse_loss(model(features[rows]), picture[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
with torch.no_grad():
    print(f"error over the picture: {F.mse_loss(model(features), picture).item():.4f}")
