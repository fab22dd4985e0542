"""Photographs are restored with a structural loss at three scales; an early similarity is negative and is raised to a power."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIDE = 32
SCALES = torch.tensor([0.25, 0.4, 0.35])


def photographs(count):
    coarse = F.interpolate(torch.rand(count, 3, 6, 6), SIDE, mode="bilinear", align_corners=False)
    edges = (F.interpolate(torch.rand(count, 3, 5, 5), SIDE, mode="nearest") > 0.5).float()
    clean = (0.6 * coarse + 0.4 * edges).clamp(0, 1)
    return (0.35 * clean**1.8 + 0.06 * torch.randn_like(clean)).clamp(0, 1), clean


def blur(x):
    return F.avg_pool2d(x, 7, 1)


def ssim(x, y):
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    cs = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
    full = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2) * cs
    full, cs = full.mean((2, 3)), cs.mean((2, 3))
    return (full.clamp(min=1e-4), cs.clamp(min=1e-4)) if args.fixed else (full, cs)


def ms_ssim(x, y):
    parts = []
    for k in range(len(SCALES)):
        full, cs = ssim(x, y)
        parts.append(full if k == len(SCALES) - 1 else cs)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return torch.prod(torch.stack(parts, 1) ** SCALES, 1).mean()


class Restorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 24, 5, padding=2)
        self.body = nn.ModuleList(nn.Conv2d(24, 24, 3, padding=1) for _ in range(3))
        self.tail = nn.Conv2d(24, 3, 5, padding=2)

    def forward(self, x):
        h = F.leaky_relu(self.head(x), 0.2)
        for conv in self.body:
            h = h + F.leaky_relu(conv(h), 0.2)
        return torch.sigmoid(self.tail(h))


dark, clean = photographs(400)
model = Restorer()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
for epoch in range(3):
    total = 0.0
    for batch in torch.randperm(320).split(10):
        out = model(dark[batch])
        loss = 1 - ms_ssim(out, clean[batch]) + 0.5 * F.l1_loss(out, clean[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 32
    print(epoch, f"loss {total:.4f}", flush=True)
with torch.no_grad():
    error = F.l1_loss(model(dark[320:]), clean[320:]).item()
print(f"RESULT loss {total:.4f} error {error:.4f}")
