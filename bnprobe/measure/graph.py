"""The graph that autograd keeps of a computation, walked without running any of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch


def nodes(tensors: Iterable[torch.Tensor]) -> Iterator[Any]:
    """Yield every backward node that some tensors were made by, each once, in no particular order."""
    seen: set[Any] = set()
    waiting: list[Any] = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting.extend(following for following, _ in node.next_functions)
