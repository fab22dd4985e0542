"""A deep residual network WITHOUT normalisation, at a learning rate that kills it.

27 convolutions, He initialisation, digits at 16x16, SGD with momentum, and a warm-up to a rate at which the same
network with batch norm (deep_residual_batch_norm.py, the same script but for one setting) trains well. From the
folder above this one:

    $ python sample_runs/deep_residual_plain.py                                       # watch it die
    $ bnprobe record -o plain.h5 sample_runs/deep_residual_plain.py                   # the same, recorded
    $ bnprobe report plain.h5 --open                                                  # read why

    $ python sample_runs/deep_residual_plain.py --learning-rate 0.01                  # a rate that it survives
    $ python sample_runs/deep_residual_plain.py --learning-rate 0.03 --warm-up 0 --depth 56
"""

from __future__ import annotations

import argparse
import math

import digits
import torch
import torch.nn.functional as F
from residual_network import ResidualNetwork

BATCH_NORM = False  # the one setting in which the two scripts differ

parser = argparse.ArgumentParser(description="Train a deep residual network on digits.")
parser.add_argument("--steps", type=int, default=100, help="optimizer steps (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=0.1, help="after the warm-up (default: %(default)s)")
parser.add_argument("--warm-up", type=int, default=30, help="steps of linear warm-up (default: %(default)s)")
parser.add_argument("--depth", type=int, default=26, help="8, 14, 20, ... 6n + 2 (default: %(default)s)")
parser.add_argument("--seed", type=int, default=0, help="weights and batches (default: %(default)s)")
args = parser.parse_args()

torch.manual_seed(args.seed)
(train_images, train_labels), (test_images, test_labels) = digits.load(side=16)
model = ResidualNetwork(args.depth, batch_norm=BATCH_NORM)
optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate, momentum=0.9)
warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, args.warm_up)))

first_loss = math.nan
lost_steps = 0  # in a row, with a loss that is not a number any more
for step, (images, labels) in enumerate(digits.batches(train_images, train_labels, 128, args.steps)):
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    value = loss.item()
    first_loss = value if step == 0 else first_loss
    if step % 5 == 0 or step == args.steps - 1 or not value < 10 * first_loss:
        accuracy = (logits.argmax(1) == labels).float().mean().item()
        rate = warm_up.get_last_lr()[0]
        print(f"step {step:3d}  rate {rate:.4f}  loss {value:9.4g}  accuracy {accuracy:.2f}", flush=True)
    warm_up.step()

    lost_steps = 0 if math.isfinite(value) else lost_steps + 1
    if lost_steps == 10:
        print(f"stopped after step {step}: the loss has not been a finite number for {lost_steps} steps")
        break
else:
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
    print(f"test accuracy {accuracy:.3f} on {len(test_labels)} digits never trained on")
