"""The signal within whatever a module returns: a tensor, tuples, dicts, data classes, objects of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from bnprobe.torch_private import tree_leaves

#: How far into objects of objects it is looked.
DEPTH_LIMIT = 4


def first_signal(output: Any) -> torch.Tensor | None:
    """Return the first floating-point tensor with an axis, or else the first tensor, or None.

    A mask or a loss may stand before the hidden state; neither is the signal.
    """
    if isinstance(output, torch.Tensor):
        return output
    first: torch.Tensor | None = None
    for tensor in _tensors(output, 0):
        if tensor.is_floating_point() and tensor.dim() > 0:
            return tensor
        first = tensor if first is None else first
    return first


def _tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth < DEPTH_LIMIT:
        leaves = tree_leaves(value)
        if len(leaves) == 1 and leaves[0] is value:
            leaves = _attributes(value)
        for leaf in leaves:
            yield from _tensors(leaf, depth + 1)


def _attributes(value: Any) -> list[Any]:
    """Return what an object holds, without asking it: its own ``__getattr__`` or ``values`` may count, print or compute."""
    if isinstance(value, dict):
        return list(dict.values(value))
    slots = [name for base in type(value).__mro__ for name in _names(vars(base).get("__slots__", ()))]
    found = [held for name in slots if name != "__dict__" and (held := _held(value, name)) is not None]
    return found + list((_held(value, "__dict__") or {}).values())


def _held(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return None


def _names(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else [name for name in slots if isinstance(name, str)]


def operation_of(signal: torch.Tensor) -> str:
    """Return the operation that made a signal, as autograd knows it: "tanh", "relu", "add"; "" for data."""
    name = type(signal.grad_fn).__name__ if signal.grad_fn is not None else ""
    return name.rstrip("0123456789").removesuffix("Backward").lower()


def storage_name(signal: torch.Tensor) -> str:
    """Return what a tensor is called that has no numbers side by side: "sparse coo", "nested"."""
    return "nested" if signal.is_nested else str(signal.layout).removeprefix("torch.").replace("_", " ")
