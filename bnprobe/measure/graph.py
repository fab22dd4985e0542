"""The graph that autograd keeps of a computation, walked without running any of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

#: Nodes that are looked at in a graph. Autograd takes a graph apart node by node, but by recursion where python has looked at its nodes:
#: with torch 2.13 a chain of 50,000 that was walked to its end is a segmentation fault when the script lets it go, one of 30,000 is none.
#: A network of some hundred layers has fewer.
MOST_NODES = 20_000


def roots(tensors: torch.Tensor | Iterable[Any]) -> list[Any]:
    """Return the nodes that a backward from a tensor, or from several, starts at."""
    given = [tensors] if isinstance(tensors, torch.Tensor) else tensors
    return [tensor.grad_fn for tensor in given if isinstance(tensor, torch.Tensor) and tensor.grad_fn is not None]


def nodes(tensors: torch.Tensor | Iterable[Any], most: float = MOST_NODES) -> Iterator[Any]:
    """Go through the backward nodes that a tensor, or several, were made by.

    Args:
        tensors: what a backward starts from.
        most: how many nodes are gone through.

    Yields:
        Each node once, in no particular order.
    """
    seen: set[Any] = set()
    waiting = roots(tensors)
    while waiting and len(seen) < most:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting.extend(following for following, _ in node.next_functions)
