"""Numbers of tensors as numpy arrays, without torch being told.

``tensor.numpy()`` (and ``np.asarray(tensor)``, which calls it) marks the memory of a tensor as not resizable, for good. A script that
reuses a buffer (``out=``, ``resize_``) or frees an activation (``untyped_storage().resize_(0)``) would fail at its next larger batch as
it was looked at. So nothing in this package calls it but on what it has made itself: here, and where a transfer has its own memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def copied(tensor: torch.Tensor, dtype: torch.dtype | None = None) -> NDArray[Any]:
    """Return a copy of a tensor's numbers, on the host.

    Args:
        tensor: on any device.
        dtype: what they are converted to; None for a type that numpy has.
    """
    return tensor.detach().to("cpu", dtype or tensor.dtype, copy=True).numpy()


def looked_at(tensor: torch.Tensor, dtype: str) -> NDArray[Any]:
    """Return the memory of a tensor itself, to be read while nothing else runs that could resize it.

    Args:
        tensor: a plain one on the host, whose numbers lie in one piece.
        dtype: as what numpy is to read it; of as many bytes as one of its numbers.

    Returns:
        (numel,). It keeps the tensor.
    """
    return np.asarray(_Memory(tensor, dtype)) if tensor.numel() else np.empty(0, dtype)


class _Memory:
    """What numpy asks for where an object's memory lies."""

    def __init__(self, tensor: torch.Tensor, dtype: str) -> None:
        self.tensor = tensor
        self.__array_interface__ = {
            "data": (tensor.data_ptr(), False),
            "shape": (tensor.numel(),),
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }
