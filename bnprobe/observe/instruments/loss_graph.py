"""The loss as autograd sees it: is softmax applied twice, and is anything of it computed in float16?

``F.cross_entropy`` applies log-softmax to what it is given, and ``binary_cross_entropy_with_logits`` the logistic function. Whoever gives
them probabilities trains all the same, slowly and never to the end. The graph behind the loss says so exactly, whatever module or function
was used, and nothing has to be put into the script's way to read it.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch

from bnprobe.measure.graph import nodes, roots
from bnprobe.observe.instruments.graph import GRAPH_LIMIT, NODE_LIMIT, PASSING, kind, sources

#: What a loss does itself -> what must not have been done to its input before.
_APPLIED_BY = {
    "LogSoftmaxBackward0": ("SoftmaxBackward0", "SigmoidBackward0"),
    "BinaryCrossEntropyWithLogitsBackward0": ("SigmoidBackward0", "SoftmaxBackward0"),
}
#: Operations that average shares weighed by shares, as of experts' votes weighed by a gate, and those that put several side by side.
_WEIGHING = ("Mul", "Bmm", "Mm")
_GATHERING = ("Stack", "Cat", "Mean")


def applies_softmax_twice(losses: Any) -> bool | None:
    """Whether a loss applies softmax, or the logistic function, to values that are its result already.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Returns:
        None where no such loss is within reach, and so nothing is known.
    """
    pending, seen = roots(losses), 0
    found: bool | None = None
    while pending and seen < NODE_LIMIT:
        node = pending.pop(0)
        seen += 1
        forbidden = _APPLIED_BY.get(kind(node))
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
    # What autograd knows of a result, to check its gradient against; absent from nodes written in Python. A weight that is only stored so
    # is a leaf, and no result.
    return sum(
        kind(node) != "AccumulateGrad" and any(result.dtype == torch.float16 for result in getattr(node, "_input_metadata", ()))
        for node in nodes(losses, GRAPH_LIMIT)
    )


def leaves(losses: Any, most: int) -> list[torch.Tensor]:
    """Return the tensors whose gradients a backward adds to.

    Args:
        losses: what a backward starts from: a tensor, or several.
        most: how many are looked for.
    """
    found = (getattr(node, "variable", None) for node in nodes(losses, GRAPH_LIMIT) if kind(node) == "AccumulateGrad")
    return list(itertools.islice((variable for variable in found if isinstance(variable, torch.Tensor)), most))


def _is_made_of(node: Any, normalising: tuple[str, ...]) -> bool:
    """Whether the numbers that a node received are results of some operations, or averages of such results weighed by such results."""
    pending, seen = sources(node)[:1], 0
    while pending and seen < NODE_LIMIT:
        source = pending.pop()
        seen += 1
        name, following = kind(source), sources(source)
        if name in normalising:
            continue
        if name.startswith(PASSING):
            following = following[:1]
        elif name.startswith(_WEIGHING):
            is_summing = not name.startswith("Mul")  # a product of matrices sums, and only softmax makes shares that sum to one
            normalising = ("SoftmaxBackward0",) if is_summing else normalising
            following = following if len(following) == 2 else []  # shares times a constant are no shares
        elif name.startswith("Sum"):
            following = following if following and kind(following[0]).startswith(_WEIGHING) else []
        elif not name.startswith(_GATHERING) or any(other is None for other, _ in source.next_functions):
            return False
        if not following:
            return False
        pending += following
    return bool(seen) and not pending
