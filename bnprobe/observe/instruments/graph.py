"""Reading autograd's graph behind a loss: its nodes, the shapes of their results, what they saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from bnprobe.measure.graph import MOST_NODES, roots
from bnprobe.torch_private import answers_itself

#: Nodes between the loss and the last layer that are looked at: sums and means of a few terms.
NODE_LIMIT = 64
#: Nodes of the whole graph that are looked at for their type.
GRAPH_LIMIT = MOST_NODES
#: Operations that leave the numbers as they are, or choose among them.
PASSING = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Transpose",
    "Permute",
    "TBackward",
    "Squeeze",
    "Unsqueeze",
    "Clone",
    "ToCopy",
    "Alias",
    "Slice",
    "Select",
    "Index",
    "Clamp",
    "Expand",
)
#: Operations that a loss is made of once output and target have met: element by element, and sums and means of that.
_ELEMENTWISE = (
    "Mean",
    "Sum",
    "Pow",
    "Abs",
    "Square",
    "Sqrt",
    "Mul",
    "Div",
    "Neg",
    "Add",
    "Sub",
    "Rsub",
    "Exp",
    "Log",
    "CtcLoss",
    "CudnnCtcLoss",
    "Where",
    "Huber",
    "SmoothL1Loss",
    "MseLoss",
    "BinaryCrossEntropy",
    "Nll",
    "LogSoftmax",
    *PASSING,
)


def sources(node: Any) -> list[Any]:
    """Return the nodes whose results a node received; constants and data have none."""
    return [other for other, _ in node.next_functions if other is not None]


def loss_nodes(losses: Any) -> Iterator[Any]:
    """Go through what a loss is made of behind the last layer: element by element, and sums and means of that.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Yields:
        The nodes, the nearest to the loss first.
    """
    pending, seen = roots(losses), set[Any]()
    while pending and len(seen) < NODE_LIMIT:
        node = pending.pop(0)
        if node not in seen and kind(node).startswith(_ELEMENTWISE) and not is_layer(node):
            seen.add(node)
            yield node
            pending += sources(node)


def is_layer(node: Any) -> bool:
    """Whether a node is the product of a signal with weights and a sum, which is named like a sum."""
    return kind(node).startswith(("Addmm", "Addbmm", "Addmv", "Baddbmm"))


def kind(node: Any) -> str:
    """Name of a node's type, such as MseLossBackward0."""
    return type(node).__name__


def shape(node: Any) -> tuple[int, ...] | None:
    """Shape of a node's first result; None where autograd does not know it, as for nodes written in Python."""
    results = getattr(node, "_input_metadata", ())
    return tuple(int(axis) for axis in results[0].shape) if results else None


class Axis(NamedTuple):
    """One axis of a tensor.

    Attributes:
        place: its place, counted from 0.
        size: its size.
        shape: that of the tensor.
    """

    place: int
    size: int
    shape: tuple[int, ...]


def softmax_axis(node: Any) -> Axis | None:
    """Along which axis a softmax or log-softmax normalises; None for other nodes."""
    if not kind(node).startswith(("SoftmaxBackward", "LogSoftmaxBackward")):
        return None
    of, place = shape(node), getattr(node, "_saved_dim", None)
    if not of or not isinstance(place, int):
        return None
    place = place - 2**64 if place >= 2**63 else place  # torch says -1 as an unsigned number
    place %= len(of)
    return Axis(place, of[place], of)


def saved(node: Any, name: str) -> torch.Tensor | None:
    """A tensor that a node keeps for its backward, without a copy.

    None where it keeps none, and where code of the script would have to be run to get at it, hooks or a class that computes by itself: that
    is the script's to run.
    """
    kept = getattr(node, f"_raw_saved_{name}", None)
    if kept is None or getattr(kept, "unpack_hook", True) is not None:
        return None
    tensor = kept.data
    return tensor.detach() if isinstance(tensor, torch.Tensor) and not answers_itself(tensor) else None
