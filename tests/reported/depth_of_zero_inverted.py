"""Depth from pictures: the network learns the inverse of the depth, and where the sensor saw nothing the depth is zero."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIDE, MAX_DEPTH = 32, 10.0


def rooms(count):
    slope, far = torch.rand(count, 2, 1, 1), 3 + 4 * torch.rand(count, 1, 1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    depth = far - 1.2 * slope[:, 0] * y.abs() - 0.8 * slope[:, 1] * x
    near = F.interpolate((torch.rand(count, 1, 4, 4) > 0.8).float(), SIDE)[:, 0] > 0
    depth = torch.where(near, depth * 0.5, depth).clamp(0.7, MAX_DEPTH)
    picture = torch.stack([3 / depth, depth / MAX_DEPTH + 0.1 * torch.randn_like(depth), near.float()], 1) + 0.05 * torch.randn(
        count, 3, SIDE, SIDE
    )
    depth[torch.rand(count) < 0.02, 12:15, 20:24] = 0
    return picture, depth[:, None]


def depth_norm(depth):
    if args.fixed:
        depth = torch.where(depth > 0, depth, depth.mean((1, 2, 3), keepdim=True))
    return MAX_DEPTH / depth


def gradients(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def ssim(x, y):
    mx, my = F.avg_pool2d(x, 7, 1), F.avg_pool2d(y, 7, 1)
    vx, vy = F.avg_pool2d(x * x, 7, 1) - mx**2, F.avg_pool2d(y * y, 7, 1) - my**2
    cov = F.avg_pool2d(x * y, 7, 1) - mx * my
    return (2 * mx * my + 0.01) * (2 * cov + 0.09) / ((mx**2 + my**2 + 0.01) * (vx + vy + 0.09))


class DenseDepth(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.up1, self.up2 = nn.Conv2d(48, 16, 3, padding=1), nn.Conv2d(19, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x):
        a = F.leaky_relu(self.down1(x), 0.2)
        b = F.leaky_relu(self.down2(a), 0.2)
        u = F.leaky_relu(self.up1(torch.cat([F.interpolate(b, scale_factor=2), a], 1)), 0.2)
        return self.conv3(F.leaky_relu(self.up2(torch.cat([F.interpolate(u, scale_factor=2), x], 1)), 0.2))


model = DenseDepth()
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
for epoch, loader in enumerate([DataLoader(TensorDataset(*rooms(600)), 8, shuffle=True)] * 5):
    total = 0.0
    for picture, depth in loader:
        target = depth_norm(depth)
        out = model(picture)
        l_edges = sum(F.l1_loss(a, b) for a, b in zip(gradients(out), gradients(target), strict=True))
        loss = 0.1 * F.l1_loss(out, target) + l_edges + (1 - ssim(out, target)).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
    print(epoch, f"loss {total:.4f}", flush=True)
with torch.no_grad():
    picture, depth = rooms(100)
    wrong = (MAX_DEPTH / model(picture) - depth)[depth > 0].abs().mean().item()
print(f"RESULT loss {total:.4f} metres wrong {wrong:.3f}")
