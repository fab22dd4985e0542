"""Memory that is freed: it stays with the process while a stretch is trained again, and goes back to the system while one is taped.

Between one step and the next a rerun frees all its signals. The C library would give the top of its heap back to the system each time, and
get it again page by page: of a step of a small convolutional network that is a fifth. Of glibc it can be asked not to; of others it is not,
nor where whoever started the process has set these thresholds: what they were could not be put back.

While a stretch is taped, what the tape keeps lies between signals that come and go: the holes that they leave are not filled again by
larger ones, and the heap grows by far more than what is kept. So whole pages of such holes are given back from time to time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator

#: Names of glibc's settings (malloc.h): the free space on top of the heap above which it is given back, and the size of a piece of its own.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: The largest pieces that glibc takes from its heap.
_LARGEST = 2**25
_MOST_FREE = 2**30
#: Where the environment sets them, by themselves or among glibc's tunables.
_VARIABLES, _TUNABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), ("malloc.mmap_threshold=", "malloc.trim_threshold=")


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep what is freed; afterwards it is given back.

    Once they are set, glibc no longer moves its thresholds by itself. They are left where it moves them in a process that frees large
    pieces, as a training does: pieces of up to 32 MiB come from the heap, and of its top 64 MiB stay.
    """
    libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" and not _is_set_from_without() else None
    if libc is None:
        yield
        return
    libc.malloc_trim(0)
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, _MOST_FREE)
    try:
        yield
    finally:
        # Twice the largest piece, as glibc has it.
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
        libc.malloc_trim(_LARGEST)


class Holes:
    """The free part of the heap, given back when it has grown.

    Args:
        most: bytes by which it may.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
        if self._libc is not None and hasattr(self._libc, "mallinfo2"):
            self._libc.mallinfo2.restype = _Mallinfo
        else:
            self._libc = None
        self._known: int | None = None

    def give_back(self) -> None:
        """Give back what is free, if it is much more than when this was last done, or first asked."""
        if self._libc is None:
            return
        free = self._free()
        if self._known is None:
            self._known = free
        elif free > self._known + self._most:
            self._libc.malloc_trim(0)
            self._known = self._free()

    def _free(self) -> int:
        return int(self._libc.mallinfo2().fordblks) if self._libc is not None else 0


class _Mallinfo(ctypes.Structure):
    """What glibc 2.33 and later tells of its heap (malloc.h)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def _is_set_from_without() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(name in os.environ for name in _VARIABLES) or any(name in tunables for name in _TUNABLES)
