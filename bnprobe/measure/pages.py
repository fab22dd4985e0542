"""Memory apart from the training's tensors.

What a recorder keeps for a while must not lie between tensors: each small array there holds apart two stretches that would have made room
for a large tensor, so the training's peak rises by many times their size, and its steps wait for new pages.
"""

from __future__ import annotations

import mmap
import sys
import threading

import numpy as np
from numpy.typing import NDArray

_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


def pages(count: int) -> NDArray[np.float64]:
    """Return ``count`` zeros in pages of their own, which go back to the system with the last array that shows them."""
    return np.frombuffer(mmap.mmap(-1, 8 * max(count, 1), **_PRIVATE), count=count)


def _referred_to(blocks: list[NDArray[np.float64]], times: int) -> NDArray[np.float64] | None:
    """Return the first of some blocks that is referred to so many times while this looks at it."""
    for block in blocks:
        if sys.getrefcount(block) == times:
            return block
    return None


#: References to a block that nothing but its list shows; which of those of the function count is for each version of Python to say.
_UNSHOWN = next(times for times in range(1, 10) if _referred_to([np.empty(1)], times) is not None)
#: Figures of one block, 256 KiB.
BLOCK_FIGURES = 2**15


#: Blocks that are used again, 16 MiB: new pages are cleared by the system, which takes as long as all that is written into them.
MOST_BLOCKS = 64


class Blocks(threading.local):
    """Vectors cut from blocks of pages, by each thread from its own."""

    def __init__(self) -> None:
        # A block, where it begins, and how much of it is used: in one, as a signal's handler may raise between any two lines.
        self._open: tuple[NDArray[np.float64], int, int] = np.empty(0), 0, 0
        self._blocks: list[NDArray[np.float64]] = []

    def cut(self, count: int) -> tuple[NDArray[np.float64], int]:
        """Return an uninitialised vector and its address; its block lives as long as any vector cut from it."""
        block, address, begin = self._open
        end = begin + count
        if end > block.size:
            block = self.block(count)
            address, begin, end = block.ctypes.data, 0, count
        self._open = block, address, end
        return block[begin:end], address + 8 * begin

    def block(self, count: int) -> NDArray[np.float64]:
        """Return an uninitialised block of so many figures or more: one that no array shows any longer, if there is any."""
        if count > BLOCK_FIGURES:
            return pages(count)
        unshown = _referred_to(self._blocks, _UNSHOWN)
        if unshown is not None:
            return unshown[:]
        block = pages(BLOCK_FIGURES)
        if len(self._blocks) < MOST_BLOCKS:
            self._blocks.append(block)
        return block[:]
