"""Measures how far two clouds of points are apart with a critic whose slope is held near one; its loss is minus the distance."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="nothing to remove: the same run")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
shift = torch.tensor([3.0, -2.0, 0.0, 1.0])

critic = nn.Sequential(nn.Linear(4, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3, betas=(0.5, 0.9))
for step in range(250):
    near, far = torch.randn(64, 4), torch.randn(64, 4) + shift
    between = torch.lerp(near, far, torch.rand(64, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    distance = critic(near).mean() - critic(far).mean()
    loss = 20 * (slope.norm(dim=1) - 1).square().mean() - distance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f} distance {distance.item():.3f} of {shift.norm():.3f}")
