"""Memory apart from the training's tensors.

What a recorder keeps for a while must not lie between tensors: each small array there holds apart two stretches that would have made room
for a large tensor, so the training's peak rises by many times their size, and its steps wait for new pages.
"""

from __future__ import annotations

import mmap
import threading

import numpy as np
from numpy.typing import NDArray

_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


def pages(count: int) -> NDArray[np.float64]:
    """Return ``count`` zeros in pages of their own, which go back to the system with the last array that shows them."""
    return np.frombuffer(mmap.mmap(-1, 8 * max(count, 1), **_PRIVATE))[:count]


#: Figures of one block, 256 KiB.
BLOCK_FIGURES = 2**15


class Blocks(threading.local):
    """Vectors cut from blocks of pages, by each thread from its own."""

    def __init__(self) -> None:
        self._block = np.empty(0)
        self._used = self._begin = 0

    def cut(self, count: int) -> tuple[NDArray[np.float64], int]:
        """Return an uninitialised vector and its address; its block lives as long as any vector cut from it."""
        end = self._used + count
        if end > self._block.size:
            self._block = pages(max(count, BLOCK_FIGURES))
            self._begin, self._used, end = self._block.ctypes.data, 0, count
        vector, address = self._block[self._used : end], self._begin + 8 * self._used
        self._used = end
        return vector, address
