"""Keeps the recorder's own operations out of the script's sight.

A script may watch torch itself: a dispatch mode that counts operations, a function mode that rewrites them, a tensor subclass. None of them
is to meet an operation that is not the script's.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch.utils import _python_dispatch


def user_modes_disabled() -> AbstractContextManager[Any]:
    """Return a context in which no mode and no tensor subclass of the script sees what is done."""
    if torch._C._len_torch_dispatch_stack() == 0:
        return torch._C.DisableTorchFunction()
    stack = ExitStack()
    stack.enter_context(torch._C.DisableTorchFunction())
    stack.enter_context(_python_dispatch._disable_current_modes())
    return stack


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor without its subclass: a sharded one is its local shard, any other the same numbers under the base class."""
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor
    with torch._C.DisableTorchFunctionSubclass():
        if hasattr(tensor, "to_local"):
            local: torch.Tensor = tensor.to_local()
            return local
        return tensor.as_subclass(torch.Tensor)


def holds_numbers(tensor: torch.Tensor) -> bool:
    """Whether a tensor has numbers in memory of its own, laid out in strides: not a meta or fake one, nor sparse, nested or batched."""
    if tensor.is_nested or torch._C._functorch.is_batchedtensor(tensor) or tensor._is_zerotensor():
        return False
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor.layout is torch.strided and not tensor.is_meta
    kind = type(tensor)
    if kind.__module__.startswith("torch._subclasses"):
        return False
    if hasattr(tensor, "to_local"):
        return True
    # A wrapper subclass keeps its numbers in other tensors: its own memory is none.
    return tensor.layout is torch.strided and not tensor.is_meta and "__torch_dispatch__" not in _own_attributes(kind)


def at_hand(number: torch.Tensor) -> torch.Tensor | float:
    """Return a number that lies in a tensor: itself where that costs no waiting, a copy elsewhere. The tensor may change in place."""
    if type(number) is torch.Tensor and number.is_cpu and number.numel() == 1:
        with contextlib.suppress(RuntimeError, TypeError):  # it has no numbers of its own, or is complex
            return float(number.item())
    return number.detach().clone()


def _own_attributes(kind: type) -> set[str]:
    return {name for base in kind.__mro__ if base not in (torch.Tensor, object) for name in vars(base)}
