"""Two networks against each other for points on a ring; the loss of the one that judges does not fall."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)

generator = nn.Sequential(nn.Linear(4, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 2))
discriminator = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
optimizer_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))


def ring(count):
    angle = torch.rand(count) * 2 * math.pi
    return torch.stack([angle.cos(), angle.sin()], 1) * 2 + torch.randn(count, 2) * 0.05


def judge(points, real):
    out = discriminator(points)
    return F.binary_cross_entropy_with_logits(out, torch.ones_like(out) if real else torch.zeros_like(out))


for step in range(2500):
    true, fake = ring(128), generator(torch.randn(128, 4))
    optimizer_d.zero_grad()
    loss_d = 0.5 * (judge(true, True) + judge(fake.detach(), False))
    loss_d.backward()
    if args.fixed:
        optimizer_d.step()
    optimizer_g.zero_grad()
    loss_g = judge(fake, True)
    loss_g.backward()
    optimizer_g.step()
    if step % 500 == 499:
        print(step, f"loss_D {loss_d.item():.4f} loss_G {loss_g.item():.4f}", flush=True)
with torch.no_grad():
    points = generator(torch.randn(1000, 4))
off = (points.norm(dim=1) - 2).abs().mean().item()
sectors = (torch.atan2(points[:, 1], points[:, 0]) / (2 * math.pi) * 12).floor().unique().numel()
print(f"RESULT loss_D {loss_d.item():.4f} loss_G {loss_g.item():.4f} distance from the ring {off:.3f} sectors reached {sectors} of 12")
