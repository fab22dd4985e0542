"""Segmentation of spots: masks are read from files as 0 and 255 and are never brought to 0 and 1."""

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
SIDE = 32


class Spots(Dataset):
    def __init__(self, count):
        rng = np.random.default_rng(count)
        y, x = np.mgrid[:SIDE, :SIDE]
        self.images, self.masks = [], []
        for _ in range(count):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for _ in range(3):
                cy, cx, r = rng.uniform(4, SIDE - 4), rng.uniform(4, SIDE - 4), rng.uniform(2, 6)
                mask[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = 255
            image = 90 + 60 * (mask > 0) + rng.normal(0, 40, (SIDE, SIDE))
            self.images.append(image.clip(0, 255).astype(np.uint8))
            self.masks.append(mask)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i].astype("float32")[None] / 255
        mask = self.masks[i].astype("float32")[None]
        return image, mask / 255 if args.fixed else mask


def block(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()
    )


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.bottom, self.up = block(1, 12), block(12, 24), block(36, 12)
        self.final = nn.Conv2d(12, 1, 1)

    def forward(self, x):
        skip = self.down(x)
        deep = F.interpolate(self.bottom(F.max_pool2d(skip, 2)), scale_factor=2)
        return self.final(self.up(torch.cat([skip, deep], 1)))


def iou_score(mask, pr):
    overlap = (mask * pr).sum()
    return (overlap + 1e-5) / (mask.sum() + pr.sum() - overlap + 1e-5)


def bce_jaccard_loss(mask, out):
    return F.binary_cross_entropy_with_logits(out, mask) + 1 - iou_score(mask, torch.sigmoid(out))


model = Unet()
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
train, valid = DataLoader(Spots(240), 8, shuffle=True), Spots(60)
for epoch in range(8):
    losses, scores = [], []
    for image, mask in train:
        out = model(image)
        loss = bce_jaccard_loss(mask, out)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        scores.append(iou_score(mask, torch.sigmoid(out)).item())
    print(epoch, f"loss {np.mean(losses):.4f} iou_score {np.mean(scores):.4f}", flush=True)
model.eval()
with torch.no_grad():
    out = model(torch.tensor(np.stack([image for image, _ in valid])))
truth = torch.tensor(np.stack(valid.masks))[:, None] > 0
overlap = ((out > 0) & truth).sum() / ((out > 0) | truth).sum()
print(f"RESULT loss {np.mean(losses):.4f} iou_score {np.mean(scores):.4f} overlap of held out {overlap.item():.3f}")
