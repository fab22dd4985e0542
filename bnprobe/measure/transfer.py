"""One transfer to the host for everything that one step measured.

On CPU it is a concatenation. From an accelerator it is a single asynchronous copy into pinned memory, read only after its event: nothing
is synchronised while the step runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class Transfer:
    """Vectors on their way to the host.

    Args:
        vectors: one-dimensional tensors, on any devices; laid end to end in the given order, as float64.
    """

    def __init__(self, vectors: Sequence[torch.Tensor]) -> None:
        self._lengths = [len(vector) for vector in vectors]
        self._parts: list[tuple[list[int], torch.Tensor]] = []
        self._events: list[Any] = []
        by_device: dict[torch.device, list[int]] = {}
        for index, vector in enumerate(vectors):
            by_device.setdefault(vector.device, []).append(index)
        for device, indices in by_device.items():
            self._parts.append((indices, self._start(torch.cat([vectors[index].double() for index in indices]), device)))

    @property
    def is_asynchronous(self) -> bool:
        """Whether something is still on its way from an accelerator."""
        return bool(self._events)

    def result(self) -> list[NDArray[np.float64]]:
        """Return the vectors as numpy arrays, waiting for them if need be."""
        for event in self._events:
            event.synchronize()
        arrays: list[NDArray[np.float64]] = [np.empty(0)] * len(self._lengths)
        for indices, host in self._parts:
            ends = np.cumsum([self._lengths[index] for index in indices])[:-1]
            for index, array in zip(indices, np.split(host.numpy(), ends), strict=True):
                arrays[index] = array
        return arrays

    def _start(self, flat: torch.Tensor, device: torch.device) -> torch.Tensor:
        if device.type != "cuda":
            return flat.cpu()
        host = torch.empty(flat.shape, dtype=flat.dtype, pin_memory=True)
        host.copy_(flat, non_blocking=True)
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(device))
        self._events.append(event)
        return host
