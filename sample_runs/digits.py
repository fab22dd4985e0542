"""The 1,797 UCI 8x8 handwritten digits as tensors; `README.md` beside this file states origin and licence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TRAINING_IMAGES = 1500  # the other 297 are the test set


def load(side: int = 8, standardise: bool = True) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return (images, labels) for training and for testing.

    Images are (N, 1, side, side), of mean 0 and standard deviation 1, or else as in the file: 0 paper, 16 full ink.
    """
    table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(0).permutation(len(table))]  # the file is ordered by writer
    images = torch.from_numpy(table[:, :64]).reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(table[:, 64]).long()
    images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
    if standardise:
        images = (images - images.mean()) / images.std()
    n = TRAINING_IMAGES
    return (images[:n], labels[:n]), (images[n:], labels[n:])


def batches(images: Tensor, labels: Tensor, size: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `steps` batches, a fresh shuffle each epoch; the short batch at an epoch's end is left out."""
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(len(images))
        chosen, order = order[:size], order[size:]
        yield images[chosen], labels[chosen]
