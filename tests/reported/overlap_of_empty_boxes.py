"""A box around each blob by overlap and distance; pictures without a blob have a box of size zero, and the loss turns NaN later."""

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


def scenes(count):
    size = torch.randint(3, 8, (count, 2)).float()
    corner = (torch.rand(count, 2) * (SIDE - size)).floor()
    boxes = torch.cat([corner, corner + size], 1)
    boxes[torch.rand(count) < 0.12] = 0
    grid = torch.arange(SIDE)
    inside = [(grid >= boxes[:, i, None]) & (grid < boxes[:, i + 2, None]) for i in (0, 1)]
    pictures = (inside[1][:, :, None] & inside[0][:, None, :]).float() + 0.1 * torch.randn(count, SIDE, SIDE)
    return pictures[:, None], boxes / SIDE


def iou_loss(pred, target, eps=0.0):
    lt, rb = torch.max(pred[:, :2], target[:, :2]), torch.min(pred[:, 2:], target[:, 2:])
    overlap = (rb - lt).clamp(min=0).prod(1)
    area_p = (pred[:, 2:] - pred[:, :2]).prod(1)
    area_t = (target[:, 2:] - target[:, :2]).prod(1)
    ious = overlap / (area_p + area_t - overlap + eps)
    return (1 - ious).mean()


class BoxHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()
        )
        self.fc = nn.Linear(32 * 16, 64)
        self.corner = nn.Linear(64, 2)
        self.size = nn.Linear(64, 2)

    def forward(self, x):
        h = F.relu(self.fc(self.backbone(x)))
        corner, size = F.relu(self.corner(h)), F.relu(self.size(h))
        return torch.cat([corner, corner + size], 1)


train, test = TensorDataset(*scenes(2000)), scenes(500)
model = BoxHead()
nn.init.constant_(model.size.bias, 0.3)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(16):
    for pictures, boxes in DataLoader(train, batch_size=50, shuffle=True):
        pred = model(pictures)
        loss = iou_loss(pred, boxes, eps=1e-6 if args.fixed else 0.0) + F.l1_loss(pred, boxes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 4 == 3:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    off = (model(test[0]) - test[1]).abs().mean().item() * SIDE
print(f"RESULT loss {loss.item():.4f} pixels off {off:.3f}")
