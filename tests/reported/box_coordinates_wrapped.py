"""Region proposals from annotations that begin at pixel 1; one is subtracted, and a box at the border wraps round to 65535."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
rng = np.random.default_rng(0)
SIDE, STRIDE, ANCHOR = 48, 8, 18.0


def annotated(count):
    images, boxes = rng.normal(0, 0.2, (count, 1, SIDE, SIDE)).astype("float32"), np.zeros((count, 4), dtype=np.uint16)
    for k in range(count):
        w, h = rng.integers(12, 26, 2)
        x1, y1 = rng.integers(1, SIDE - w), rng.integers(1, SIDE - h)
        images[k, 0, y1 : y1 + h, x1 : x1 + w] += 1
        if rng.random() < 0.02:
            x1 = 0
        corner = np.array([float(x1) - 1, float(y1) - 1])
        if args.fixed:
            corner = np.maximum(corner, 0)
        boxes[k] = np.concatenate([corner, [x1 + w - 1, y1 + h - 1]]).astype(np.int64).astype(np.uint16)
    return torch.from_numpy(images), torch.from_numpy(boxes.astype("float32"))


centre = torch.arange(STRIDE / 2, SIDE, STRIDE)
cy, cx = torch.meshgrid(centre, centre, indexing="ij")
anchors = torch.stack([cx - ANCHOR / 2, cy - ANCHOR / 2, cx + ANCHOR / 2, cy + ANCHOR / 2], -1).reshape(-1, 4)


def overlaps(boxes):
    lt, rb = torch.max(boxes[:, None, :2], anchors[None, :, :2]), torch.min(boxes[:, None, 2:], anchors[None, :, 2:])
    inter = (rb - lt + 1).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(-1)
    return inter / (area[:, None] + (ANCHOR + 1) ** 2 - inter)


def bbox_transform(ex, gt):
    ex_size, gt_size = ex[..., 2:] - ex[..., :2] + 1.0, gt[..., 2:] - gt[..., :2] + 1.0
    shift = (gt[..., :2] + 0.5 * gt_size - ex[..., :2] - 0.5 * ex_size) / ex_size
    return torch.cat([shift, torch.log(gt_size / ex_size)], -1)


class RPN(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in ((1, 16), (16, 32), (32, 32))]
        self.base = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
        self.conv = nn.Conv2d(32, 64, 3, padding=1)
        self.cls_score, self.bbox_pred = nn.Conv2d(64, 1, 1), nn.Conv2d(64, 4, 1)

    def forward(self, x):
        h = F.relu(self.conv(self.base(x)))
        return self.cls_score(h).flatten(1), self.bbox_pred(h).flatten(2).transpose(1, 2)


images, boxes = annotated(600)
model = RPN()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
for epoch in range(12):
    total = 0.0
    for batch in torch.randperm(500).split(10):
        scores, deltas = model(images[batch])
        overlap = overlaps(boxes[batch])
        positive = overlap > 0.5
        positive[torch.arange(len(batch)), overlap.argmax(1)] = True
        targets = bbox_transform(anchors.expand(len(batch), -1, -1), boxes[batch, None])
        loss = F.binary_cross_entropy_with_logits(scores, positive.float()) + F.smooth_l1_loss(deltas[positive], targets[positive])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 50
    if epoch % 3 == 2:
        print(epoch, f"rpn loss {total:.4f}", flush=True)
with torch.no_grad():
    scores, deltas = model(images[500:])
    best = scores.argmax(1)
    found = overlaps(boxes[500:])[torch.arange(100), best].mean().item()
print(f"RESULT rpn loss {total:.4f} overlap of the best anchor {found:.3f}")
