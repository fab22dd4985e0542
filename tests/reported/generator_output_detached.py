"""Adversarial training on a ring; the judge wins at once, and the painter, which has a second small loss, paints no ring."""

import argparse
import math

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def ring(count):
    angle = torch.rand(count, 1) * 2 * math.pi
    return torch.cat([angle.cos(), angle.sin()], 1) + 0.03 * torch.randn(count, 2)


generator = nn.Sequential(nn.Linear(8, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 2))
discriminator = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
mse = nn.MSELoss()
one, zero = torch.ones(128, 1), torch.zeros(128, 1)
for step in range(900):
    real = ring(128)
    fake = generator(torch.randn(128, 8))
    seen = fake if args.fixed else fake.detach()
    adversarial = mse(discriminator(seen), one)
    centre = fake.mean(0).square().sum()
    loss_g = adversarial + 0.1 * centre
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    loss_d = 0.5 * (mse(discriminator(real), one) + mse(discriminator(fake.detach()), zero))
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    if step % 150 == 149:
        print(step, f"loss_G {loss_g.item():.4f} loss_D {loss_d.item():.4f}", flush=True)
with torch.no_grad():
    painted = generator(torch.randn(1000, 8))
distance = (painted.norm(dim=1) - 1).abs().mean().item()
print(f"RESULT loss_G {loss_g.item():.4f} loss_D {loss_d.item():.4f} distance from the ring {distance:.3f}")
