"""The graph that autograd keeps of a computation, walked without running any of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch


def roots(tensors: torch.Tensor | Iterable[Any]) -> list[Any]:
    """Return the nodes that a backward from a tensor, or from several, starts at."""
    given = [tensors] if isinstance(tensors, torch.Tensor) else tensors
    return [tensor.grad_fn for tensor in given if isinstance(tensor, torch.Tensor) and tensor.grad_fn is not None]


def nodes(tensors: torch.Tensor | Iterable[Any], most: float = math.inf) -> Iterator[Any]:
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
