"""One transfer to the host for everything that one step measured.

On CPU it is a concatenation, so that nothing which was made while the training ran outlives the step (see ``pages``). From an accelerator
it is a single asynchronous copy into pinned memory, read only after its event: nothing is synchronised while the step runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.pages import Blocks

Vector = NDArray[np.float64]

_blocks = Blocks()


class Transfer:
    """Vectors on their way to the host.

    Args:
        vectors: one-dimensional; numpy arrays are there already, tensors may lie on any devices.
    """

    def __init__(self, vectors: Sequence[torch.Tensor | Vector]) -> None:
        self._arrays: list[Vector | None] = [None] * len(vectors)
        self._parts: list[tuple[list[tuple[int, int]], Vector | torch.Tensor]] = []
        self._events: list[Any] = []
        if all([type(vector) is np.ndarray for vector in vectors]):  # as at most steps on the host
            lengths = list(enumerate(map(len, vectors)))
            self._parts = [(lengths, _laid_together(vectors))] if lengths else []  # type: ignore[arg-type]
            return
        by_device: dict[torch.device, list[tuple[int, torch.Tensor]]] = {}
        at_hand: list[tuple[int, Vector]] = []
        for index, vector in enumerate(vectors):
            if isinstance(vector, np.ndarray):
                at_hand.append((index, vector))
            else:
                by_device.setdefault(vector.device, []).append((index, vector))
        if at_hand:
            lengths = [(index, len(vector)) for index, vector in at_hand]
            self._parts.append((lengths, _laid_together([vector for _, vector in at_hand])))
        for device, found in by_device.items():
            flat = torch.cat([vector.detach().to(torch.float64) for _, vector in found])
            self._parts.append(([(index, len(vector)) for index, vector in found], self._start(flat, device)))

    @property
    def is_asynchronous(self) -> bool:
        """Whether something is still on its way from an accelerator."""
        return bool(self._events)

    def together(self) -> Vector:
        """Return all vectors end to end, waiting for them if need be."""
        if len(self._parts) == 1 and not self._events:
            return _array(self._parts[0][1])
        arrays = self.result()
        return np.concatenate(arrays) if arrays else np.empty(0)

    def result(self) -> list[Vector]:
        """Return the vectors as numpy arrays of float64, waiting for them if need be."""
        for event in self._events:
            event.synchronize()
        for lengths, host in self._parts:
            flat, begin = _array(host), 0
            for index, length in lengths:
                self._arrays[index] = flat[begin : begin + length]
                begin += length
        return [array for array in self._arrays if array is not None]

    def _start(self, flat: torch.Tensor, device: torch.device) -> torch.Tensor:
        if device.type != "cuda":
            return flat.cpu()
        host = torch.empty(flat.shape, dtype=flat.dtype, pin_memory=True)
        host.copy_(flat, non_blocking=True)
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(device))
        self._events.append(event)
        return host


def _laid_together(vectors: Sequence[Vector]) -> Vector:
    """Return vectors end to end, in memory apart from the training's."""
    return np.concatenate(vectors, out=_blocks.cut(sum(map(len, vectors)))[0])


def _array(host: Vector | torch.Tensor) -> Vector:
    return host if isinstance(host, np.ndarray) else host.numpy()
