"""Cells are marked in microscope pictures of unequal brightness, two at a time; training goes well and validation is far below it."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIDE = 16


def pictures(count):
    axis = torch.arange(SIDE).float()
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for _ in range(2):
        place, radius = torch.rand(count, 2) * SIDE, 1.5 + 2 * torch.rand(count, 1, 1)
        apart = (axis[None, :, None] - place[:, 0, None, None]) ** 2 + (axis[None, None, :] - place[:, 1, None, None]) ** 2
        masks |= apart < radius**2
    light = torch.exp(0.9 * torch.randn(count, 1, 1))
    return (light * (1 + 0.6 * masks.float() + 0.25 * torch.randn(count, SIDE, SIDE))).unsqueeze(1), masks.float()


class ConvBlock(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = ConvBlock(1, 16), ConvBlock(16, 32), ConvBlock(32, 32)
        self.up1, self.up2 = ConvBlock(64, 16), ConvBlock(32, 16)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        d = self.up1(torch.cat([b, F.interpolate(c, scale_factor=2)], 1))
        return self.out(self.up2(torch.cat([a, F.interpolate(d, scale_factor=2)], 1))).squeeze(1)


def iou(logits, masks):
    found = logits > 0
    return ((found & (masks > 0)).sum() / (found | (masks > 0)).sum().clamp(min=1)).item()


train, (val_x, val_y) = TensorDataset(*pictures(200)), pictures(200)
model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(9):
    model.train()
    seen = []
    for x, y in DataLoader(train, batch_size=32 if args.fixed else 2, shuffle=True):
        logits = model(x)
        loss = F.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(iou(logits, y))
    if epoch % 3 == 2:
        print(epoch, f"loss {loss.item():.4f} iou {sum(seen) / len(seen):.3f}", flush=True)
model.eval()
with torch.no_grad():
    valid = iou(model(val_x), val_y)
print(f"RESULT loss {loss.item():.4f} iou in training {sum(seen) / len(seen):.3f} in validation {valid:.3f}")
