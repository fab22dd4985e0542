"""A small convolutional network that trains without trouble: what a healthy recording looks like.

Batch norm, dropout, Adam and a cosine schedule on the handwritten digits. From the folder above this one:

    $ python sample_runs/healthy_cnn.py
    $ bnprobe record -o healthy.h5 sample_runs/healthy_cnn.py
    $ bnprobe report healthy.h5 --open
"""

from __future__ import annotations

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser(description="Train a small convolutional network on digits.")
parser.add_argument("--steps", type=int, default=150, help="optimizer steps (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=3e-3, help="of Adam (default: %(default)s)")
parser.add_argument("--seed", type=int, default=0, help="weights and batches (default: %(default)s)")
args = parser.parse_args()


class SmallCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(x).flatten(1)))


torch.manual_seed(args.seed)
(train_images, train_labels), (test_images, test_labels) = digits.load(side=8)
model = SmallCNN()
optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)

for step, (images, labels) in enumerate(digits.batches(train_images, train_labels, 64, args.steps)):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()

    if (step + 1) % 25 == 0 or step + 1 == args.steps:
        model.eval()
        with torch.no_grad():
            accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
        model.train()
        print(f"step {step + 1:3d}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}", flush=True)
