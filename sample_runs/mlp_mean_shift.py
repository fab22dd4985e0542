"""A multilayer perceptron fed with pixels as a scanner stores them: white paper is 255, ink is 0.

Nearly all of such an input is the same for every image. At this rate the first updates multiply what the images have
in common until the hidden units are dead or constant, and the loss stays where guessing puts it, at ln 10 = 2.30: no
error, no infinity, only nothing learned. With --scaled each pixel is brought to mean 0 and standard deviation 1 first,
and the same network trains. From the folder above this one:

    $ python sample_runs/mlp_mean_shift.py                                            # stuck at chance
    $ python sample_runs/mlp_mean_shift.py --scaled                                   # trains
    $ bnprobe record -o unscaled.h5 sample_runs/mlp_mean_shift.py
    $ bnprobe record -o scaled.h5 sample_runs/mlp_mean_shift.py --scaled
    $ bnprobe report unscaled.h5 scaled.h5 --open
"""

from __future__ import annotations

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser(description="Train a multilayer perceptron on digits as scanned.")
parser.add_argument("--steps", type=int, default=400, help="optimizer steps (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=0.02, help="of SGD (default: %(default)s)")
parser.add_argument("--depth", type=int, default=4, help="hidden layers (default: %(default)s)")
parser.add_argument("--scaled", action="store_true", help="bring each pixel to mean 0 and standard deviation 1")
parser.add_argument("--seed", type=int, default=0, help="weights and batches (default: %(default)s)")
args = parser.parse_args()

torch.manual_seed(args.seed)
(train_images, train_labels), (test_images, test_labels) = digits.load(side=8, standardise=False)
train_pixels = 255 - train_images.flatten(1) * (255 / 16)
test_pixels = 255 - test_images.flatten(1) * (255 / 16)
if args.scaled:
    mean = train_pixels.mean(dim=0)
    std = train_pixels.std(dim=0) + 1  # some pixels are white in every image
    train_pixels, test_pixels = (train_pixels - mean) / std, (test_pixels - mean) / std

layers: list[nn.Module] = []
width = 64
for _ in range(args.depth):
    layers += [nn.Linear(width, 128), nn.ReLU()]
    width = 128
model = nn.Sequential(*layers, nn.Linear(width, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate, momentum=0.9)

for step, (pixels, labels) in enumerate(digits.batches(train_pixels, train_labels, 64, args.steps)):
    logits = model(pixels)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step < 5 or step % 50 == 0 or step == args.steps - 1:
        accuracy = (logits.argmax(1) == labels).float().mean().item()
        print(f"step {step:3d}  loss {loss.item():8.4g}  accuracy {accuracy:.2f}", flush=True)

with torch.no_grad():
    accuracy = (model(test_pixels).argmax(1) == test_labels).float().mean().item()
print(f"test accuracy {accuracy:.3f} on {len(test_labels)} digits never trained on")
