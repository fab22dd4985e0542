"""A two-layer LSTM that reads a handwritten digit row by row, as a sequence of eight steps.

Adam with gradient clipping, as recurrent networks are usually trained. From the folder above this one:

    $ python sample_runs/lstm_sequence.py
    $ bnprobe record -o lstm.h5 sample_runs/lstm_sequence.py
    $ bnprobe report lstm.h5 --open
"""

from __future__ import annotations

import argparse

import digits
import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser(description="Train an LSTM to read digits row by row.")
parser.add_argument("--steps", type=int, default=300, help="optimizer steps (default: %(default)s)")
parser.add_argument("--learning-rate", type=float, default=3e-3, help="of Adam (default: %(default)s)")
parser.add_argument("--clip", type=float, default=1.0, help="global gradient norm (default: %(default)s)")
parser.add_argument("--seed", type=int, default=0, help="weights and batches (default: %(default)s)")
args = parser.parse_args()


class RowReader(nn.Module):
    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size=8, hidden_size=hidden, num_layers=2, batch_first=True)
        self.classifier = nn.Linear(hidden, 10)

    def forward(self, images: Tensor) -> Tensor:
        states, _ = self.lstm(images.squeeze(1))  # (N, 8 rows, 8 pixels) -> (N, 8 rows, hidden)
        return self.classifier(states[:, -1])


torch.manual_seed(args.seed)
(train_images, train_labels), (test_images, test_labels) = digits.load(side=8)
model = RowReader()
optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)

for step, (images, labels) in enumerate(digits.batches(train_images, train_labels, 64, args.steps)):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    optimizer.step()

    if (step + 1) % 50 == 0 or step + 1 == args.steps:
        with torch.no_grad():
            accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
        print(
            f"step {step + 1:3d}  loss {loss.item():.4f}  gradient norm {norm.item():.2f}  test accuracy {accuracy:.3f}",
            flush=True,
        )
