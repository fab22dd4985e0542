"""Memory apart from the training's tensors.

What a recorder keeps for a while must not lie between tensors: each small array there holds apart two stretches that would have made room
for a large tensor, so the training's peak rises by many times their size, and its steps wait for new pages.
"""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


def pages(count: int) -> NDArray[np.float64]:
    """Return ``count`` zeros in pages of their own, which go back to the system with the last array that shows them."""
    return np.frombuffer(mmap.mmap(-1, 8 * max(count, 1), **_PRIVATE))[:count]
