"""Euclidean norms of many tensors at once: parameters, their gradients, their updates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure import fused
from bnprobe.measure.unchecked import unchecked
from bnprobe.torch_private import answers_itself, is_freed, is_summand

_PLAIN = (torch.Tensor, torch.nn.Parameter)


@torch.no_grad()
def norms(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Return ||t||_2 of every tensor, NaN where there is none.

    Args:
        tensors: any shapes, dtypes and devices; None for a missing gradient. Sparse tensors are norms over their values; a sharded
            tensor contributes its local shard, so that no rank has to wait for another. NaN for a tensor whose class computes by itself,
            for one whose memory was given back, and where each rank holds a summand.

    Returns:
        (len(tensors),) in float32, on the device of the first tensor. Half precision is accumulated in float32.
    """
    if (found := fused.lengths(tensors)) is not None:
        return _single(found)
    present = [(index, _dense(tensor)) for index, tensor in enumerate(tensors) if tensor is not None and _has_norm(tensor)]
    if not present:
        return torch.full((len(tensors),), torch.nan, dtype=torch.float32)
    device = present[0][1].device
    result = torch.full((len(tensors),), torch.nan, device=device, dtype=torch.float32)
    by_kind: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for position, (_, tensor) in enumerate(present):
        by_kind.setdefault((tensor.device, tensor.dtype), []).append(position)
    for (_, dtype), positions in by_kind.items():
        group = [present[position][1] for position in positions]
        low_precision = dtype in (torch.float16, torch.bfloat16)
        lengths = torch._foreach_norm(group, 2, dtype=torch.float32) if low_precision else torch._foreach_norm(group, 2)
        if len(group) == len(tensors):
            return torch.stack(lengths).to(torch.float32)  # no index has to go to the device, which would wait for it
        target = torch.tensor([present[position][0] for position in positions], device=device)
        result[target] = torch.stack(lengths).to(device=device, dtype=torch.float32)
    return result


@torch.no_grad()
def distances(olds: Sequence[torch.Tensor | None], news: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Return ||new - old||_2 of every pair, as ``norms`` does, NaN where both are None.

    Args:
        olds: tensors of the shapes, dtypes and devices of the new ones; they may be left holding the differences.
        news: None where the old one is.
    """
    befores, afters = [old for old in olds if old is not None], [new for new in news if new is not None]
    if (found := fused.lengths(news, olds)) is not None:
        return _single(found)
    if befores:
        torch._foreach_sub_(befores, afters)
    return norms(olds)


@unchecked
def _single(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))


@torch.no_grad()
def total_norm(tensors: Sequence[torch.Tensor]) -> float:
    """Return the Euclidean norm of all tensors together, on the host. As ``norms``, with the least that has to be done for few of them."""
    if all(tensor.layout is torch.strided and tensor.dtype in (torch.float32, torch.float64) for tensor in tensors):
        return math.hypot(*(length.item() for length in torch._foreach_norm(list(map(_dense, tensors)), 2))) if tensors else 0.0
    return float(norms(tensors).norm())


def _has_norm(tensor: torch.Tensor) -> bool:
    return (type(tensor) in _PLAIN or not (answers_itself(tensor) or is_summand(tensor))) and not is_freed(tensor)


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    if type(tensor) in _PLAIN and tensor.layout is torch.strided and not tensor.is_complex():
        return tensor
    tensor = tensor.detach()
    if hasattr(tensor, "to_local"):
        tensor = tensor.to_local()
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    return tensor if not tensor.is_complex() else torch.view_as_real(tensor)
