"""The loss as autograd sees it: is softmax applied twice, and is anything of it computed in float16?

``F.cross_entropy`` applies log-softmax to what it is given, and ``binary_cross_entropy_with_logits`` the logistic function. Whoever gives
them probabilities trains all the same, slowly and never to the end. The graph behind the loss says so exactly, whatever module or function
was used, and nothing has to be put into the script's way to read it.
"""

from __future__ import annotations

from typing import Any

import torch

#: Nodes between the loss and its softmax that are looked at: sums and means of a few terms.
NODE_LIMIT = 64
#: Nodes of the whole graph that are looked at for their type: more than any network of some hundred layers has.
GRAPH_LIMIT = 20_000
#: What a loss does itself -> what must not have been done to its input before.
_APPLIED_BY = {
    "LogSoftmaxBackward0": ("SoftmaxBackward0", "SigmoidBackward0"),
    "BinaryCrossEntropyWithLogitsBackward0": ("SigmoidBackward0", "SoftmaxBackward0"),
}
#: Operations that average shares weighed by shares, as of experts' votes weighed by a gate, and those that put several side by side.
_WEIGHING = ("Mul", "Bmm", "Mm")
_GATHERING = ("Stack", "Cat", "Mean")
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


def applies_softmax_twice(losses: Any) -> bool | None:
    """Whether a loss applies softmax, or the logistic function, to values that are its result already.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Returns:
        None where no such loss is within reach, and so nothing is known.
    """
    pending, seen = _roots(losses), 0
    found: bool | None = None
    while pending and seen < NODE_LIMIT:
        node = pending.pop(0)
        seen += 1
        forbidden = _APPLIED_BY.get(type(node).__name__)
        if forbidden is not None:
            found = bool(found) or _is_made_of(node, forbidden)
        else:
            pending += [other for other, _ in node.next_functions if other is not None]
    return found


def half_results(losses: Any) -> int:
    """How many results of type float16 lead to a loss, whichever module or function computed them.

    A module that casts to float16 for what it does inside, and back for what it gives out, shows no float16 signal; its graph does.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Returns:
        Their number.
    """
    pending, seen, count = _roots(losses), set[Any](), 0
    while pending and len(seen) < GRAPH_LIMIT:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        # What autograd knows of a result, to check its gradient against; absent from nodes written in Python. A weight that is only stored
        # so is a leaf, and no result.
        count += type(node).__name__ != "AccumulateGrad" and any(
            result.dtype == torch.float16 for result in getattr(node, "_input_metadata", ())
        )
        pending += _sources(node)
    return count


def leaves(losses: Any, most: int) -> list[torch.Tensor]:
    """Return the tensors whose gradients a backward adds to.

    Args:
        losses: what a backward starts from: a tensor, or several.
        most: how many are looked for.
    """
    pending, seen, found = _roots(losses), set[Any](), list[torch.Tensor]()
    while pending and len(seen) < GRAPH_LIMIT and len(found) < most:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None) if type(node).__name__ == "AccumulateGrad" else None
        if isinstance(variable, torch.Tensor):
            found.append(variable)
        pending += _sources(node)
    return found


def _roots(losses: Any) -> list[Any]:
    tensors = [losses] if isinstance(losses, torch.Tensor) else list(losses)
    return [tensor.grad_fn for tensor in tensors if isinstance(tensor, torch.Tensor) and tensor.grad_fn is not None]


def _is_made_of(node: Any, normalising: tuple[str, ...]) -> bool:
    """Whether the numbers that a node received are results of some operations, or averages of such results weighed by such results."""
    pending, seen = _sources(node)[:1], 0
    while pending and seen < NODE_LIMIT:
        source = pending.pop()
        seen += 1
        name, following = type(source).__name__, _sources(source)
        if name in normalising:
            continue
        if name.startswith(_PASSING):
            following = following[:1]
        elif name.startswith(_WEIGHING):
            is_summing = not name.startswith("Mul")  # a product of matrices sums, and only softmax makes shares that sum to one
            normalising = ("SoftmaxBackward0",) if is_summing else normalising
            following = following if len(following) == 2 else []  # shares times a constant are no shares
        elif name.startswith("Sum"):
            following = following if following and type(following[0]).__name__.startswith(_WEIGHING) else []
        elif not name.startswith(_GATHERING) or any(other is None for other, _ in source.next_functions):
            return False
        if not following:
            return False
        pending += following
    return bool(seen) and not pending


def _sources(node: Any) -> list[Any]:
    return [other for other, _ in node.next_functions if other is not None]
