"""A small denoising diffusion model of points on two moons."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
STEPS = 250
LEVELS = 50


def moons(n: int) -> Tensor:
    angle = math.pi * torch.rand(n)
    side = (torch.rand(n) < 0.5).float()
    x = torch.cos(angle) * (1 - 2 * side) + side - 0.5
    y = torch.sin(angle) * (1 - 2 * side) + 0.5 * side - 0.25
    return torch.stack([x, y], dim=1) * 1.2 + 0.05 * torch.randn(n, 2)


class Denoiser(nn.Module):
    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Linear(2, width)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(3))
        self.leave = nn.Linear(width, 2)
        self.register_buffer("frequencies", 2.0 ** torch.arange(8) * 0.1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        phase = t[:, None] * self.frequencies
        h = self.enter(x) + self.time(torch.cat([phase.sin(), phase.cos()], dim=1))
        for block in self.blocks:
            h = h + block(h)
        return self.leave(h)


alpha = torch.cumprod(1 - torch.linspace(1e-3, 0.15, LEVELS), dim=0)
model = Denoiser()
peak = 2e-3 if args.fixed else 0.1
optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=STEPS, pct_start=0.2)

average = 0.0
for step in range(STEPS):
    clean, noise = moons(256), torch.randn(256, 2)
    t = torch.randint(0, LEVELS, (256,))
    noisy = alpha[t].sqrt()[:, None] * clean + (1 - alpha[t]).sqrt()[:, None] * noise
    loss = (model(noisy, t.float()) - noise).pow(2).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    scheduler.step()
    average = loss.item() if step == 0 else 0.95 * average + 0.05 * loss.item()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {average:.4f}")
