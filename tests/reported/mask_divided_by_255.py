"""Segmentation with masks of 0 and 1 that pass the same scaling as the images; every target becomes background."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


class Shapes(Dataset):
    """Grey images of a bright disc on noise, with a mask of 0 and 1; both are stored as bytes."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        rows, cols = np.mgrid[:24, :24]
        self.images, self.masks = [], []
        for _ in range(count):
            r, c, radius = rng.uniform(7, 17), rng.uniform(7, 17), rng.uniform(3, 6)
            mask = (rows - r) ** 2 + (cols - c) ** 2 < radius**2
            self.images.append((rng.uniform(0, 130, (24, 24)) + 90 * mask).astype(np.uint8))
            self.masks.append(mask.astype(np.uint8))

    def __len__(self):
        return len(self.images)

    @staticmethod
    def to_tensor(array):
        return torch.from_numpy(array).float() / 255

    def __getitem__(self, i):
        mask = torch.from_numpy(self.masks[i]) if args.fixed else self.to_tensor(self.masks[i])
        return self.to_tensor(self.images[i])[None], mask.long()


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = self.double(1, 12)
        self.down2 = self.double(12, 24)
        self.up = nn.ConvTranspose2d(24, 12, 2, 2)
        self.fuse = self.double(24, 12)
        self.head = nn.Conv2d(12, 2, 1)

    @staticmethod
    def double(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.ReLU())

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        return self.head(self.fuse(torch.cat([a, self.up(b)], 1)))


train, held_out = Shapes(160, 0), Shapes(40, 1)
model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    model.train()
    for image, mask in DataLoader(train, batch_size=8, shuffle=True):
        loss = F.cross_entropy(model(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        guess = model(torch.stack([held_out[i][0] for i in range(40)])).argmax(1).bool()
    truth = torch.from_numpy(np.stack(held_out.masks)).bool()
    iou = ((guess & truth).sum() / (guess | truth).sum()).item()
    print(epoch, f"loss {loss.item():.5f} IoU {iou:.3f}", flush=True)
print(f"RESULT loss {loss.item():.5f} IoU {iou:.3f}")
