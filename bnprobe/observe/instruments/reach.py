"""What an activation right before an error can give out, and what of the targets lies beyond: no weights make up for that.

A sigmoid gives 0 to 1, a ReLU nothing below 0. Where targets lie outside, the squared error keeps what they are away from that range,
whatever the network learns.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from bnprobe.observe.instruments.graph import NODE_LIMIT, PASSING, kind, saved, sources

Range = tuple[float, float]

#: What functions with ends of their own can give; ``Hardtanh`` and ``Clamp`` keep theirs.
_RANGES: dict[str, Range] = {
    "Sigmoid": (0.0, 1.0),
    "Hardsigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Relu": (0.0, math.inf),
    "Softplus": (0.0, math.inf),
    "LogSoftmax": (-math.inf, 0.0),
    "LogSigmoid": (-math.inf, 0.0),
}
#: What compares element by element where a script writes the error out, and keeps the difference.
_OF_DIFFERENCES = ("Pow", "Abs")
#: What leaves every number in its place.
_SHAPES = ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze")


def range_of(comparison: Any) -> Range | None:
    """The smallest and the largest number that an output can be when it is compared; None where nothing bounds it.

    Args:
        comparison: the node that compares it, such as a squared error or a difference.
    """
    node = comparison
    for _ in range(NODE_LIMIT):
        node = next(iter(sources(node)), None)
        if node is None:
            return None
        if (found := _own_range(node)) is not None:
            return found
        if not kind(node).startswith(PASSING):
            return None
    return None


def _own_range(node: Any) -> Range | None:
    name = kind(node)
    if name.startswith("Hardtanh"):
        return float(node._saved_min_val), float(node._saved_max_val)
    if name.startswith("Clamp"):
        low, high = getattr(node, "_saved_min", None), getattr(node, "_saved_max", None)
        if isinstance(low, int | float) or isinstance(high, int | float):
            return -math.inf if low is None else float(low), math.inf if high is None else float(high)
    return next((ends for squashing, ends in _RANGES.items() if name.startswith(f"{squashing}Backward")), None)


def difference_of(node: Any) -> Any | None:
    """Where a script writes an error out, such as ``(output - target) ** 2``: the node of the difference; None for other nodes.

    Args:
        node: of a loss.
    """
    made_by = next(iter(sources(node)), None) if kind(node).startswith(_OF_DIFFERENCES) else None
    if made_by is None or not kind(made_by).startswith("Sub"):
        return None
    return made_by if len(made_by.next_functions) == 2 and len(sources(made_by)) == 1 else None


def written_out(node: Any) -> torch.Tensor | None:
    """The target of an error that a script wrote out; None where it cannot be had.

    Args:
        node: of a loss, with ``difference_of``.
    """
    difference, made_by = saved(node, "self"), sources(node)[0]
    output = _result(made_by)
    if difference is None or output is None or output.numel() != difference.numel():
        return None
    output = output.reshape(difference.shape)
    return output - difference if made_by.next_functions[0][0] is not None else output + difference


def _result(comparison: Any) -> torch.Tensor | None:
    """The result of the activation right before a comparison, which some keep; None for others, and where it was laid out otherwise."""
    node = comparison
    for _ in range(NODE_LIMIT):
        node = sources(node)[0] if sources(node) else None
        if node is None or (kept := saved(node, "result")) is not None:
            return None if node is None else kept
        if not kind(node).startswith(_SHAPES):
            return None
    return None


@torch.no_grad()
def beyond(target: torch.Tensor, ends: Range) -> dict[str, torch.Tensor]:
    """How far targets lie outside what the output can be.

    Args:
        target: of any shape.
        ends: the least and the most that the output can be.

    Returns:
        By name of the schema.
    """
    low, high = torch.aminmax(target)
    away = target.double() - target.clamp(*ends).double()
    return {
        "error_target_smallest": low.double(),
        "error_target_largest": high.double(),
        "unreachable_error": away.square().mean(),
        "output_floor": torch.tensor(ends[0], dtype=torch.float64),
        "output_ceiling": torch.tensor(ends[1], dtype=torch.float64),
    }
