"""A radiance field of a ball before a black background; at this rate the density dies at once and every picture is black."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIDE, SAMPLES = 24, 20


def rays(angle):
    away = torch.tensor([math.cos(angle), 0.0, math.sin(angle)])
    right, up = torch.tensor([-math.sin(angle), 0.0, math.cos(angle)]), torch.tensor([0.0, 1.0, 0.0])
    v, u = torch.meshgrid(torch.linspace(-1.6, 1.6, SIDE), torch.linspace(-1.6, 1.6, SIDE), indexing="ij")
    origins = (u[..., None] * right + v[..., None] * up).reshape(-1, 3) + 2 * away
    return origins, (-away).expand_as(origins)


def picture(origins, directions):
    b = (origins * directions).sum(1)
    hit = b**2 - (origins**2).sum(1) + 0.9**2
    point = origins + (-b - hit.clamp(min=0).sqrt())[:, None] * directions
    return torch.where((hit > 0)[:, None], 0.55 + 0.4 * torch.sin(4 * point), torch.zeros(3))


views = [rays(2 * math.pi * k / 20) for k in range(20)]
origins = torch.cat([o for o, _ in views])
directions = torch.cat([d for _, d in views])
colours = torch.cat([picture(o, d) for o, d in views])


class NeRF(nn.Module):
    def __init__(self, width=64, depth=4):
        super().__init__()
        self.pts_linears = nn.ModuleList([nn.Linear(27 if k == 0 else width, width) for k in range(depth)])
        self.sigma = nn.Linear(width, 1)
        nn.init.constant_(self.sigma.bias, 0.5)
        self.rgb = nn.Linear(width, 3)

    def forward(self, x):
        waves = [f(2**k * x) for k in range(4) for f in (torch.sin, torch.cos)]
        h = torch.cat([x, *waves], -1)
        for layer in self.pts_linears:
            h = F.relu(layer(h))
        return F.relu(self.sigma(h)).squeeze(-1), torch.sigmoid(self.rgb(h))


def render(model, o, d):
    z = torch.linspace(0.9, 3.1, SAMPLES) + (torch.rand(len(o), SAMPLES) - 0.5) * 2.2 / SAMPLES
    sigma, rgb = model(o[:, None] + z[..., None] * d[:, None])
    alpha = 1 - torch.exp(-sigma * 2.2 / SAMPLES * 4)
    through = torch.cumprod(torch.cat([torch.ones(len(o), 1), 1 - alpha + 1e-10], 1), 1)[:, :-1]
    return ((alpha * through)[..., None] * rgb).sum(1)


model = NeRF()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4 if args.fixed else 1e-2)
for step in range(300):
    batch = torch.randint(0, len(origins), (256,))
    loss = F.mse_loss(render(model, origins[batch], directions[batch]), colours[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(step, f"loss {loss.item():.5f} psnr {-10 * math.log10(loss.item()):.2f}", flush=True)
with torch.no_grad():
    shown = render(model, *views[3])
    psnr = -10 * math.log10(F.mse_loss(shown, picture(*views[3])).item())
print(f"RESULT loss {loss.item():.5f} psnr {psnr:.2f} brightest pixel {shown.max().item():.3f}")
