"""The loss as autograd sees it: is something squashed that the loss squashes itself?

``F.cross_entropy`` applies log-softmax to what it is given, and ``binary_cross_entropy_with_logits`` the logistic function. Whoever gives
them probabilities trains all the same, slowly and never to the end. The graph behind the loss says so exactly, whatever module or function
was used, and nothing has to be put into the script's way to read it.
"""

from __future__ import annotations

from typing import Any

import torch

#: Nodes between the loss and its softmax that are looked at: sums and means of a few terms.
NODE_LIMIT = 64
#: What a loss does itself -> what must not have been done to its input before.
_SQUASHED = {
    "LogSoftmaxBackward0": ("SoftmaxBackward0", "SigmoidBackward0"),
    "BinaryCrossEntropyWithLogitsBackward0": ("SigmoidBackward0", "SoftmaxBackward0"),
}
#: Operations that leave the numbers as they are, or choose among them.
_PASSING = (
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


def squashes_twice(losses: Any) -> bool | None:
    """Whether a loss applies softmax, or the logistic function, to values that are its result already.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Returns:
        None where no such loss is within reach, and so nothing is known.
    """
    tensors = [losses] if isinstance(losses, torch.Tensor) else list(losses)
    pending, seen = [tensor.grad_fn for tensor in tensors if isinstance(tensor, torch.Tensor) and tensor.grad_fn is not None], 0
    found: bool | None = None
    while pending and seen < NODE_LIMIT:
        node = pending.pop(0)
        seen += 1
        forbidden = _SQUASHED.get(type(node).__name__)
        if forbidden is not None:
            found = bool(found) or type(_source(node)).__name__ in forbidden
        else:
            pending += [other for other, _ in node.next_functions if other is not None]
    return found


def _source(node: Any) -> Any:
    """Return the node that made the numbers which a node received first."""
    for _ in range(NODE_LIMIT):
        following = node.next_functions
        node = following[0][0] if following else None
        if node is None or not type(node).__name__.startswith(_PASSING):
            break
    return node
