"""Diffusion of two half moons; the loss is fine, and the samples are clouds."""

import argparse
import math

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
STEPS = 100

moons = torch.tensor(make_moons(3000, noise=0.04, random_state=0)[0], dtype=torch.float32)
moons = (moons - moons.mean(0)) / moons.std(0)
alpha_bar = torch.cos((torch.arange(STEPS) + 1) / (STEPS + 1) * math.pi / 2) ** 2


class Denoiser(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.enter = nn.Linear(2 + 8, width)
        self.middle = nn.Linear(width, width)
        self.inner = nn.Linear(width, width)
        self.leave = nn.Linear(width, 2)

    def forward(self, x, t):
        angle = (t.float() / STEPS).unsqueeze(1) * 2.0 ** torch.arange(4) * math.pi / 2
        h = F.silu(self.enter(torch.cat([x, angle.sin(), angle.cos()], 1)))
        h = h + F.silu(self.middle(h))
        return self.leave(h + F.silu(self.inner(h)))


class Diffusion:
    def timesteps(self, shape_or_t):
        """Draws a time for each sample of a batch; a number is taken for the time itself."""
        if isinstance(shape_or_t, int):
            return torch.tensor(min(shape_or_t, STEPS - 1))
        return torch.randint(0, STEPS, tuple(shape_or_t))

    def diffuse(self, x0):
        count = x0.shape[0]
        t = self.timesteps((count,) if args.fixed else count).expand(count)
        noise = torch.randn_like(x0)
        signal = alpha_bar[t].unsqueeze(1)
        return signal.sqrt() * x0 + (1 - signal).sqrt() * noise, noise, t

    @torch.no_grad()
    def sample(self, model, count):
        x = torch.randn(count, 2)
        for i in reversed(range(STEPS)):
            t = torch.full((count,), i)
            before = alpha_bar[i - 1] if i else torch.tensor(1.0)
            x0 = (x - (1 - alpha_bar[i]).sqrt() * model(x, t)) / alpha_bar[i].sqrt()
            x0 = x0.clamp(-3, 3)
            direction = (x - alpha_bar[i].sqrt() * x0) / (1 - alpha_bar[i]).sqrt()
            x = before.sqrt() * x0 + (1 - before).sqrt() * direction
        return x


diffusion, model = Diffusion(), Denoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(3000):
    noised, noise, t = diffusion.diffuse(moons[torch.randint(0, 3000, (256,))])
    loss = F.mse_loss(model(noised, t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 600 == 599:
        print(step, f"loss {loss.item():.4f}", flush=True)
samples = diffusion.sample(model, 500)
distance = torch.cdist(samples, moons).min(1).values.mean().item()
print(f"RESULT loss {loss.item():.4f} distance of a sample from the moons {distance:.3f}")
