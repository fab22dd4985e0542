"""Tensors as plain arrays of bytes, with their shapes, strides and places in memory.

A kernel may take another path for another layout, and round otherwise. So a tensor comes back with the strides that it had, and on an
address that is the same modulo a cache line. Of a storage only the bytes that some tensor covers are kept, each once: a batch is often a
slice of a data set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.host_memory import looked_at
from bnprobe.what_if.kept.unkept import Unkept, Unreadable

Bytes = NDArray[np.uint8]
#: Addresses are kept modulo this: a cache line, the widest vector of a processor.
ALIGNMENT = 64


class TensorsOut:
    """Collects tensors that are to be written."""

    def __init__(self) -> None:
        self._tensors: list[torch.Tensor] = []
        self._numbers: dict[int, int] = {}

    def number(self, tensor: torch.Tensor) -> int:
        """Return the number under which a tensor will be found.

        Raises:
            Unkept: it is no plain array.
        """
        known = self._numbers.get(id(tensor))
        if known is not None:
            return known
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise Unkept(f"a {type(tensor).__name__} is no plain tensor")
        if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized or tensor.is_meta:
            raise Unkept(f"a tensor of layout {tensor.layout} on {tensor.device} is no plain array")
        if tensor.is_conj() or tensor.is_neg():
            raise Unkept("a tensor is the conjugate or the negative of what lies in memory")
        self._numbers[id(tensor)] = len(self._tensors)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def close(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Bytes]]:
        """Return what is told of each tensor and of each piece of memory, and the bytes of these."""
        told: list[dict[str, Any]] = [{} for _ in self._tensors]
        pieces: list[dict[str, Any]] = []
        contents: list[Bytes] = []
        by_storage: dict[int, list[int]] = {}
        for number, tensor in enumerate(self._tensors):
            by_storage.setdefault(tensor.untyped_storage()._cdata, []).append(number)
        for numbers in by_storage.values():
            end = -1
            for begin, stop, number in sorted((*_extent(self._tensors[number]), number) for number in numbers):
                if begin > end:
                    pieces.append({"begin": begin})
                    end = begin
                end = max(end, stop)
                pieces[-1] |= {"end": end, "storage": number}
                told[number] = _told(self._tensors[number], len(pieces) - 1, begin - pieces[-1]["begin"])
        for piece in pieces:
            tensor = self._tensors[piece.pop("storage")]
            begin, end = piece.pop("begin"), piece.pop("end")
            content = _bytes(tensor, begin, end)
            piece |= {"device": str(tensor.device), "address": (tensor.untyped_storage().data_ptr() + begin) % ALIGNMENT}
            contents.append(content)
        return told, pieces, contents


class TensorsIn:
    """Tensors that were read.

    Args:
        told: what is told of each tensor.
        pieces: what is told of each piece of memory.
        contents: the bytes of these.
    """

    def __init__(self, told: list[dict[str, Any]], pieces: list[dict[str, Any]], contents: list[Bytes]) -> None:
        self._told = told
        self._memory = [_memory(piece, content) for piece, content in zip(pieces, contents, strict=True)]
        self._made: dict[int, torch.Tensor] = {}

    def tensor(self, number: int) -> torch.Tensor:
        """Return a tensor, the same one each time.

        Raises:
            Unreadable: it would lie outside its memory, or is of a type that there is not.
        """
        if number not in self._made:
            self._made[number] = self._make(self._told[number])
        return self._made[number]

    def _make(self, told: dict[str, Any]) -> torch.Tensor:
        dtype = getattr(torch, told["dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise Unreadable(f"there is no type of numbers {told['dtype']!r}")
        memory, offset = self._memory[told["piece"]], int(told["offset"])
        shape, stride = tuple(map(int, told["shape"])), tuple(map(int, told["stride"]))
        needed = _covered(shape, stride) * dtype.itemsize
        if min((offset, *shape, *stride)) < 0 or len(shape) != len(stride) or offset + needed > memory.numel():
            raise Unreadable("a tensor lies outside its memory")
        place = memory.storage_offset() + offset
        if place % dtype.itemsize:
            raise Unreadable("a tensor lies at an address that its type does not have")
        made = torch.empty(0, dtype=dtype, device=memory.device).set_(memory.untyped_storage(), place // dtype.itemsize, shape, stride)
        if told["parameter"]:
            made = torch.nn.Parameter(made, bool(told["requires_grad"]))
        return made.requires_grad_(bool(told["requires_grad"]))


def _covered(shape: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """Return how many elements there are between the first and the last of a tensor, both included."""
    return 0 if 0 in shape else 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=False))


def _extent(tensor: torch.Tensor) -> tuple[int, int]:
    """Return the first byte of its storage that a tensor covers, and the one after the last."""
    begin = int(tensor.storage_offset()) * tensor.element_size()
    return begin, begin + _covered(tuple(tensor.shape), tensor.stride()) * tensor.element_size()


def _told(tensor: torch.Tensor, piece: int, offset: int) -> dict[str, Any]:
    return {
        "piece": piece,
        "offset": offset,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "stride": list(tensor.stride()),
        "requires_grad": tensor.requires_grad and tensor.is_leaf,
        "parameter": isinstance(tensor, torch.nn.Parameter),
    }


def _bytes(tensor: torch.Tensor, begin: int, end: int) -> Bytes:
    raw = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage(), begin, (end - begin,), (1,))
    return looked_at(raw.cpu(), "u1")


def _memory(piece: dict[str, Any], content: Bytes) -> torch.Tensor:
    device = torch.device(piece["device"])
    is_here = device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < torch.cuda.device_count())
    if not is_here:
        raise Unreadable(f"a tensor lay on {device}, which is not here")
    content = content.reshape(-1)
    whole = torch.empty(len(content) + 2 * ALIGNMENT, dtype=torch.uint8, device=device)
    offset = (int(piece["address"]) - whole.data_ptr()) % ALIGNMENT
    memory = whole[offset : offset + len(content)]
    memory.copy_(torch.from_numpy(content))
    return memory
