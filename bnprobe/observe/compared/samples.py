"""Whether samples were seen before: an evaluation of what was trained on holds nothing out."""

from __future__ import annotations

import torch

from bnprobe.measure.host_memory import copied

#: Numbers of a sample that are looked at, spread evenly over it.
NUMBERS = 256
#: Samples that are remembered.
MOST_SAMPLES = 1_000_000


def fingerprints(batch: torch.Tensor) -> list[int]:
    """Return a number for each sample of a batch (N, ...), the same for the same sample."""
    if not batch.dim() or not batch.numel():
        return []
    flat = batch.detach().reshape(batch.shape[0], -1)
    stride = max(1, flat.shape[1] // NUMBERS)
    rows = copied(flat[:, ::stride], torch.float64)
    return [hash(row.tobytes()) for row in rows]


class TrainedOn:
    """The samples of all training batches so far, up to a number."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def learn(self, batch: torch.Tensor) -> None:
        """Take note of a batch that is trained on."""
        if len(self._known) < MOST_SAMPLES:
            self._known.update(fingerprints(batch))

    def share(self, prints: list[int]) -> float:
        """Return which share of samples was trained on."""
        return sum(one in self._known for one in prints) / len(prints) if prints else 0.0
