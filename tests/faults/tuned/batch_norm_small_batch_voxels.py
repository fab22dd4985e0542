"""Guesses the volume and the surface of a body in a scan: convolutions in three dimensions, few scans at a time for want of memory."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def scans(n: int, side: int = 10) -> tuple[Tensor, Tensor]:
    half = 0.3 + 0.6 * torch.rand(n, 3)
    line = torch.linspace(-1, 1, side)
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    a, b, c = half.reshape(n, 3, 1, 1, 1).unbind(dim=1)
    body = torch.sigmoid(8 * (1 - ((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)))
    volume = half.prod(dim=1)
    surface = (half[:, 0] * half[:, 1] + half[:, 1] * half[:, 2] + half[:, 0] * half[:, 2]) / 3
    return body.unsqueeze(1), torch.stack([(volume - 0.21) / 0.12, (surface - 0.36) / 0.14], dim=1)


def norm(width: int) -> nn.Module:
    return nn.LayerNorm(width) if args.fixed else nn.BatchNorm1d(width)


class BodyNet(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 8, 3, stride=2)
        self.conv2 = nn.Conv3d(8, 16, 3)
        self.read = nn.Sequential(
            nn.Linear(128, width), norm(width), nn.SiLU(), nn.Linear(width, width), norm(width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, picture: Tensor) -> Tensor:
        h = F.silu(self.conv2(F.silu(self.conv1(picture))))
        return self.read(h.flatten(1))


usual = scans(500)[0].mean(dim=0)
model = BodyNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
for step in range(300):
    picture, size = scans(2)
    picture = 5 * (picture - usual) + 0.3 * torch.randn_like(picture)
    loss = F.mse_loss(model(picture), size)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 49:
        print(f"step {step + 1}: squared error {sum(losses[-50:]) / 50:.4f}")
