"""A critic whose gradient penalty is computed without create_graph: it is in the loss as a number and holds the critic back by nothing."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
to_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
to_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))


def ring(count):
    angle = torch.rand(count) * 2 * torch.pi
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


def penalty(real, made):
    share = torch.rand(len(real), 1)
    between = (share * real + (1 - share) * made).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=args.fixed)
    return 10 * (slope.norm(dim=1) - 1).square().mean()


for step in range(300):
    for _ in range(3):
        real, made = ring(64), generator(torch.randn(64, 4)).detach()
        distance = critic(real).mean() - critic(made).mean()
        to_critic.zero_grad()
        (-distance + penalty(real, made)).backward()
        to_critic.step()
    to_generator.zero_grad()
    loss = -critic(generator(torch.randn(64, 4))).mean()
    loss.backward()
    to_generator.step()
    if step % 60 == 59:
        print(step, f"distance {distance.item():.4f} loss {loss.item():.4f}", flush=True)
radius = generator(torch.randn(512, 4)).norm(dim=1)
print(f"RESULT distance {distance.item():.4f} radius {radius.mean().item():.3f} spread {radius.std().item():.3f}")
