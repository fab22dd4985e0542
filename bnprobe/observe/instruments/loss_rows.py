"""How many rows a loss is made of: the size of the batch as the loss sees it, at every step.

A batch of one sample, an empty one, or one shorter than the others shows here without a hook on any module: autograd knows the shape of
every result behind the loss. What is taken is the first axis of the nearest result that has one, which is the number of samples, of tokens
where the loss has them side by side, or of what was left after a selection.
"""

from __future__ import annotations

from typing import Any

from bnprobe.observe.instruments.instrument import Backward, Instrument, Surroundings
from bnprobe.observe.steps.open_step import OpenStep

#: Operations behind the loss that are looked at.
NODE_LIMIT = 16


class LossRows(Instrument):
    """Counts them, summed over the backward calls of a step.

    Args:
        around: what is there to look at.
    """

    every_step = True

    def __init__(self, around: Surroundings) -> None:
        del around

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at the graph while it is whole."""
        if backward.losses:
            step.loss_rows += rows_behind(backward.losses[0].grad_fn)


def rows_behind(node: Any) -> int:
    """Return the first axis of the nearest result behind a loss that has one; 0 where none is within reach.

    Args:
        node: the operation that made the loss.
    """
    for _ in range(NODE_LIMIT):
        if node is None:
            break
        for result in getattr(node, "_input_metadata", ()):
            if len(result.shape):
                return int(result.shape[0])
        node = next((other for other, _ in node.next_functions if other is not None), None)
    return 0
