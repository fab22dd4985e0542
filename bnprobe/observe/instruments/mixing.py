"""Where the axis of the samples is taken for another one, as the graph of a loss shows it exactly.

- The last states of a recurrent layer are (layers and directions, samples, width). Viewed as (samples, rest), without a transposition
  before it, each row holds the states of several samples.
- A recurrent layer takes the first axis for time unless it has ``batch_first``. Whoever then asks for its last step by ``[:, -1]`` gets the
  last sample of the batch, at every time: the layer has gone through the samples one after another.
"""

from __future__ import annotations

from typing import Any

from bnprobe.measure.graph import nodes
from bnprobe.observe.instruments.graph import GRAPH_LIMIT, kind, sources

VIEWED, GONE_THROUGH = 1, 2

_VIEWS = ("View", "UnsafeView", "ReshapeAlias")
_LAYERS = ("MkldnnRnnLayer", "CudnnRnn")
#: Nodes from one state of a cell to the one before it, at most.
_CELL = 40


def mixes_samples(losses: Any) -> int:
    """Return how the graph mixes samples up.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Returns:
        1 where states of several samples were viewed as those of one, 2 where a recurrent layer went through the samples, 0 else.
    """
    for node in nodes(losses, GRAPH_LIMIT):
        if kind(node).startswith(_VIEWS) and _views_states(node):
            return VIEWED
        if kind(node).startswith("Select") and _picks_a_sample(node):
            return GONE_THROUGH
    return 0


def _views_states(view: Any) -> bool:
    made, given = _shapes(view)[0:1], next(iter(view.next_functions), (None, 0))
    source, place = given
    before = _shapes(source)[place : place + 1] if source is not None and kind(source).startswith(("Stack", "CudnnRnn")) else ()
    if not made or not before or len(made[0]) != 2 or len(before[0]) != 3:
        return False
    if kind(source).startswith("Stack") and getattr(source, "_saved_dim", None) != 0:
        return False
    layers, samples, width = before[0]
    return made[0] == (samples, layers * width) and 1 < layers != samples > 1


def _picks_a_sample(select: Any) -> bool:
    source = next(iter(sources(select)), None)
    if getattr(select, "_saved_dim", None) != 1 or source is None:
        return False
    if kind(source).startswith("Cat"):  # both directions, side by side
        source = next(iter(sources(source)), None)
    if source is None or not (shape := next(iter(_shapes(source)), ())) or len(shape) != 3 or min(shape[:2]) < 2:
        return False
    if kind(source).startswith(_LAYERS):
        return not getattr(source, "_saved_batch_first", False)
    return kind(source).startswith("Stack") and getattr(source, "_saved_dim", None) == 0 and _is_of_states(source)


def _is_of_states(stack: Any) -> bool:
    """Whether what was stacked followed from each other, as states of a cell do."""
    states = sources(stack)
    if len(states) < 3:
        return False
    waiting, seen = sources(states[-1]), set[Any]()
    while waiting and len(seen) < _CELL:
        node = waiting.pop(0)
        if node is states[-2]:
            return True
        if node not in seen:
            seen.add(node)
            waiting += sources(node)
    return False


def _shapes(node: Any) -> list[tuple[int, ...]]:
    """Shapes of a node's results; empty where autograd does not know them."""
    return [tuple(int(axis) for axis in result.shape) for result in getattr(node, "_input_metadata", ())]
