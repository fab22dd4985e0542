"""Depth from a picture of stripes; a few of the target maps have holes stored as NaN, and the loss is NaN for good after one of them."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(2)


class Depth(Dataset):
    def __init__(self, count):
        slope = torch.rand(count, 1, 1, 1)
        cols = torch.arange(16.0).view(1, 1, 1, 16)
        self.depth = (0.3 + slope * cols / 16).expand(-1, -1, 16, -1).clone()
        phase = torch.rand(count, 1, 16, 1) * 0.2
        self.image = torch.sin(6 * (self.depth * 4 + phase)) + 0.05 * torch.randn(count, 1, 16, 16)
        self.depth[311, 0, 4:7, 9] = float("nan")
        self.depth[97, 0, 0, 0] = float("nan")

    def __len__(self):
        return len(self.image)

    def __getitem__(self, i):
        return self.image[i], self.depth[i]


class DepthNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc1, self.enc2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, 2, 1)
        self.norm = nn.GroupNorm(4, 32)
        self.dec = nn.Conv2d(48, 16, 3, padding=1)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        a = F.relu(self.enc1(x))
        b = F.interpolate(F.relu(self.norm(self.enc2(a))), scale_factor=2)
        return self.out(F.relu(self.dec(torch.cat([a, b], 1))))


loader = DataLoader(Depth(400), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(5))
model = DepthNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
step = 0
for _ in range(3):
    for image, depth in loader:
        guess = model(image)
        valid = depth.isfinite() if args.fixed else torch.ones_like(depth, dtype=torch.bool)
        loss = F.mse_loss(guess[valid], depth[valid])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0:
            print(step, f"{loss.item():.4f}", flush=True)
        step += 1
print(f"RESULT loss {loss.item():.4f}")
