"""A critic with a gradient penalty and a generator on points of a ring; the loss of the critic is NaN after some steps."""

import argparse

import torch
from torch import autograd, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
EPS = 1e-12 if args.fixed else 0.0


def real_points(count):
    angle = torch.rand(count) * 2 * torch.pi
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2) + 1.5


G = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
D = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
d_optimizer = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))
g_optimizer = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.9))


def gradient_penalty(real, fake):
    alpha = torch.rand(len(real), 1)
    between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    grad = autograd.grad(D(between).sum(), between, create_graph=True)[0]
    grad_l2 = torch.sqrt(torch.sum(grad**2, dim=1) + EPS)
    return torch.mean((grad_l2 - 1) ** 2)


for step in range(1500):
    for _ in range(2):
        real = real_points(64)
        fake = G(torch.randn(64, 4)).detach()
        d_loss = D(fake).mean() - D(real).mean() + 10 * gradient_penalty(real, fake)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
    g_loss = -D(G(torch.randn(64, 4))).mean()
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    if step % 300 == 299:
        print(step, f"critic {d_loss.item():.4f} generator {g_loss.item():.4f}", flush=True)
with torch.no_grad():
    radius = (G(torch.randn(2000, 4)) - 1.5).norm(dim=1)
print(f"RESULT critic {d_loss.item():.4f} radius {radius.mean().item():.3f} off the ring {(radius - 1).abs().mean().item():.3f}")
