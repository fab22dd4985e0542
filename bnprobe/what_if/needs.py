"""The memory that a stretch takes: what its tape keeps, and what one rerun of it needs beside the training, which is still there.

A rerun works on copies of the weights and of the optimizers, has gradients of its own, and clones weights to see how far they move. Its
signals lie where those of the training lay, which are gone by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.what_if.stretch_tape import StretchTape

#: Bytes of python's objects for one item of a tape, and for what a rerun keeps of it.
ITEM_BYTES = 2500
#: Bytes of what an answer loads and keeps whatever the network: modules, a recording's columns, losses.
FIXED_BYTES = 4 * 2**20
#: What stands beside the trained weights in a rerun: their copies, gradients, and clones by which their way is measured.
COPIES = 3
#: Results of the largest operation for which there is room beyond those of the training: what a remedy computes from it, and the holes
#: that such leave.
LARGEST_RESULTS = 4
#: Free memory between pieces that are in use, as a part of the promise, and its limits.
SLACK, LEAST_SLACK, MOST_SLACK = 1 / 8, 2 * 2**20, 32 * 2**20


@dataclass(frozen=True)
class Needs:
    """Bytes.

    Attributes:
        kept: by the tape, with the objects that describe its operations.
        rerun: by one rerun.
        slack: free between pieces in use.
    """

    kept: int
    rerun: int
    slack: int

    @property
    def total(self) -> int:
        """What an answer takes."""
        return self.kept + self.rerun + self.slack

    def of_steps(self, done: int, steps: int) -> int:
        """Return what an answer of more steps than were done takes, if each takes the same."""
        return self.rerun + self.slack + self.kept * max(steps, done) // done


def slack_of(promise: int) -> int:
    """Return how much may be free between pieces in use before it is given back."""
    return int(min(max(promise * SLACK, LEAST_SLACK), MOST_SLACK))


def needs_of(tape: StretchTape, optimizers: Iterable[Optimizer], promise: int) -> Needs:
    """Return what a tape as it is takes."""
    weights = [start.nbytes for start in tape.starts.values() if start.layout is torch.strided]
    states = sum(_state_bytes(optimizer.state) for optimizer in optimizers)
    rerun = FIXED_BYTES + COPIES * sum(weights) + max(weights, default=0) + states + LARGEST_RESULTS * tape.largest_result
    return Needs(tape.held_bytes + len(tape.items) * ITEM_BYTES, rerun, slack_of(promise))


def _state_bytes(state: Any) -> int:
    values = (value for each in state.values() if isinstance(each, dict) for value in each.values())
    return sum(value.nbytes for value in values if isinstance(value, torch.Tensor) and value.layout is torch.strided)
