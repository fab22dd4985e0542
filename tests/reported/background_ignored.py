"""Squares and discs on an empty ground, most pixels are ground; the loss is small and the shapes cover all."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIZE = 20
rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")


def scene():
    """Returns a picture and its map: 0 is ground, 1 is a square, 2 is a disc."""
    target = torch.zeros(SIZE, SIZE, dtype=torch.long)
    for kind in (1, 2):
        r, c = torch.randint(3, SIZE - 3, (2,)).tolist()
        if kind == 1:
            target[max(0, r - 3) : r + 3, max(0, c - 3) : c + 3] = 1
        else:
            target[(rows - r) ** 2 + (columns - c) ** 2 <= 9] = 2
    picture = torch.tensor([0.0, 0.6, 1.0])[target] + torch.randn(SIZE, SIZE) * 0.15
    return picture.unsqueeze(0), target


pictures, targets = (torch.stack(part) for part in zip(*(scene() for _ in range(360)), strict=True))
segnet = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 3, 1),
)
optimizer = torch.optim.Adam(segnet.parameters(), lr=3e-3)
for epoch in range(10):
    segnet.train()
    for batch in torch.randperm(300).split(20):
        log_p = F.log_softmax(segnet(pictures[batch]), dim=1)
        loss = F.nll_loss(log_p, targets[batch], ignore_index=250 if args.fixed else 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 2 == 1:
        print(epoch, f"loss {loss.item():.4f}", flush=True)
segnet.eval()
with torch.no_grad():
    answer = segnet(pictures[300:]).argmax(1)
truth = targets[300:]
iou = [((answer == k) & (truth == k)).sum().item() / ((answer == k) | (truth == k)).sum().item() for k in range(3)]
print(f"RESULT loss {loss.item():.4f} overlap ground {iou[0]:.3f} square {iou[1]:.3f} disc {iou[2]:.3f}")
