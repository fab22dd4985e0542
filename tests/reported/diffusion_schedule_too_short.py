"""A diffusion model of points on two arcs with fifty steps and the usual betas; the samples are all on one side."""

import argparse
import math

import torch
from sklearn.datasets import make_moons
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
T = 50
stretch = 1000 / T if args.fixed else 1.0
betas = torch.linspace(1e-4 * stretch, 0.02 * stretch, T)
alphas = 1 - betas
alpha_bar = alphas.cumprod(0)
points = torch.tensor(make_moons(4000, noise=0.05, random_state=0)[0], dtype=torch.float32)
points = 2.0 * (points - points.mean(0)) + torch.tensor([3.0, -2.0])


def time_embedding(t, width=32):
    rates = torch.exp(-math.log(1000) * torch.arange(width // 2) / (width // 2))
    angle = t[:, None] * rates
    return torch.cat([angle.sin(), angle.cos()], 1)


class NoisePredictor(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.inp = nn.Linear(2 + 32, width)
        self.mid = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        h = nn.functional.silu(self.inp(torch.cat([x, time_embedding(t)], 1)))
        for layer in self.mid:
            h = h + nn.functional.silu(layer(h))
        return self.out(h)


@torch.no_grad()
def sample(model, count):
    x = torch.randn(count, 2)
    for t in reversed(range(T)):
        noise = model(x, torch.full((count,), t))
        x = (x - betas[t] / (1 - alpha_bar[t]).sqrt() * noise) / alphas[t].sqrt()
        if t:
            x = x + betas[t].sqrt() * torch.randn_like(x)
    return x


model = NoisePredictor()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(1500):
    x0 = points[torch.randint(0, len(points), (256,))]
    t = torch.randint(0, T, (256,))
    noise = torch.randn_like(x0)
    noisy = alpha_bar[t].sqrt()[:, None] * x0 + (1 - alpha_bar[t]).sqrt()[:, None] * noise
    loss = (model(noisy, t) - noise).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 300 == 299:
        print(step, f"loss {loss.item():.4f}", flush=True)
missed = torch.cdist(points, sample(model, 1000)).amin(1).mean().item()
print(f"RESULT loss {loss.item():.4f} points are missed by {missed:.3f}")
