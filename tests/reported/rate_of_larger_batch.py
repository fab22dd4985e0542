"""A detector has a rate that was chosen for batches of 32, and a batch of one to fit the machine: its boxes jump about and stay far off."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)
SIZE = 12
rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")


def scenes(n):
    box = torch.cat([torch.randint(0, 6, (n, 2)), torch.randint(3, 6, (n, 2))], 1).float()
    inside = (rows >= box[:, 0, None, None]) & (rows < (box[:, 0] + box[:, 2])[:, None, None])
    inside &= (columns >= box[:, 1, None, None]) & (columns < (box[:, 1] + box[:, 3])[:, None, None])
    round_one = torch.rand(n) < 0.5
    picture = inside * torch.where(round_one, 1.0, -1.0)[:, None, None] + 0.2 * torch.randn(n, SIZE, SIZE)
    return picture[:, None], box, round_one.long()


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten()
        )
        self.neck = nn.Linear(32 * 36, 64)
        self.box, self.kind = nn.Linear(64, 4), nn.Linear(64, 2)

    def forward(self, x):
        x = F.relu(self.neck(self.trunk(x)))
        return self.box(x), self.kind(x)


model = Detector()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
for step in range(400):
    picture, box, kind = scenes(32 if args.fixed else 1)
    found, score = model(picture)
    loss = F.smooth_l1_loss(found, box, reduction="none").sum(1).mean() + F.cross_entropy(score, kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, f"loss {loss.item():.4f}", flush=True)
picture, box, kind = scenes(300)
found, score = model(picture)
right = (score.argmax(1) == kind).float().mean().item()
print(f"RESULT loss {loss.item():.4f} box off by {(found - box).abs().mean().item():.3f} kind {right:.3f}")
