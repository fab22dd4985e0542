"""Segments discs from a noisy background with a little U-Net."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def discs(n: int, side: int = 24) -> tuple[Tensor, Tensor]:
    grid = torch.arange(side).float()
    centre = 4 + (side - 8) * torch.rand(n, 2)
    radius = 3 + 4 * torch.rand(n, 1, 1)
    inside = (grid[None, :, None] - centre[:, 0, None, None]) ** 2 + (grid[None, None, :] - centre[:, 1, None, None]) ** 2 < radius**2
    mask = inside.float()[:, None]
    return mask * 1.0 + 0.8 * torch.randn(n, 1, side, side), mask


class Double(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.GroupNorm(4, outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.GroupNorm(4, outputs),
            nn.ReLU(),
        )


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = Double(1, 8), Double(8, 16), Double(16, 24)
        self.up2, self.up1 = Double(24 + 16, 16), Double(16 + 8, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.up2(torch.cat([F.interpolate(c, scale_factor=2.0), b], dim=1))
        a = self.up1(torch.cat([F.interpolate(b, scale_factor=2.0), a], dim=1))
        return self.out(a)


model = UNet()
# 1.0 is Adadelta's own default; its updates are in the units of the weights already.
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0 if args.fixed else 1e-3)
criterion = nn.BCEWithLogitsLoss()
for step in range(1, 81):
    x, mask = discs(12)
    optimizer.zero_grad()
    logits = model(x)
    loss = criterion(logits, mask)
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        found = (logits > 0).float()
        overlap = (found * mask).sum() / (found + mask).clamp(max=1).sum()
        print(f"step {step}: loss {loss.item():.4f} overlap {overlap.item():.3f}")
