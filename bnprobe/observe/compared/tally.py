"""Sums over the batches of one evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass
class Tally:
    """Loss and right labels of the batches so far.

    Attributes:
        loss: sum of losses, each times the numbers that it is a mean over.
        weight: those numbers.
        right: labels that were the class of the largest output.
        labels: labels in all.
    """

    loss: float = 0.0
    weight: int = 0
    right: int = 0
    labels: int = 0

    def add(self, loss: float, weight: int, right: int, labels: int) -> None:
        """Take a batch in."""
        self.loss += loss * weight
        self.weight += weight
        self.right += right
        self.labels += labels

    def join(self, other: Tally) -> None:
        """Take in what another one has."""
        self.loss += other.loss
        self.weight += other.weight
        self.right += other.right
        self.labels += other.labels

    @property
    def mean(self) -> float:
        """Mean loss; NaN where there is none."""
        return self.loss / self.weight if self.weight else math.nan

    @property
    def accuracy(self) -> float:
        """Share of right labels; NaN where there is none."""
        return self.right / self.labels if self.labels else math.nan


def right_labels(output: torch.Tensor, target: torch.Tensor, ignored: int) -> tuple[int, int]:
    """Count the labels that are the class of the largest output, and those that count.

    Args:
        output: (N, C, ...) or (C,).
        target: whole numbers, (N, ...) or ().
        ignored: the label that does not count.
    """
    axis = 1 if output.dim() > 1 else 0
    counts = target != ignored
    right = (output.argmax(axis) == target) & counts
    return int(right.sum()), int(counts.sum())


def right_bits(output: torch.Tensor, target: torch.Tensor, threshold: float) -> tuple[int, int]:
    """The same for one output a sample and labels 0 and 1; (0, 0) where these are none."""
    if output.numel() != output.shape[0] or not bool(((target == 0) | (target == 1)).all()):
        return 0, 0
    return int(((output > threshold) == (target > 0.5)).sum()), target.numel()
