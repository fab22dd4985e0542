"""The memory of a tensor: what identifies it, other views of it, and another put in its place, none of which an operation tells."""

from __future__ import annotations

import torch

from bnprobe.torch_private import answers_itself, functorch_wraps

PLAIN = (torch.Tensor, torch.nn.Parameter)


def view(tensor: torch.Tensor, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> torch.Tensor:
    """Return another view of a signal's memory, which no operation has made."""
    return tensor.as_strided(size, stride, tensor.storage_offset() + offset)


def set_memory(leaf: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    """Let a leaf lie in the memory of a signal: what ``leaf.data = signal`` does."""
    leaf.data = signal
    return leaf


def storage_key(tensor: torch.Tensor) -> int:
    """Return what identifies a tensor's memory; 0 for one that has none of its own."""
    if (
        (type(tensor) not in PLAIN and answers_itself(tensor))
        or tensor.layout is not torch.strided
        or tensor.is_nested
        or functorch_wraps(tensor)
    ):
        return 0
    return int(tensor.untyped_storage()._cdata)
