"""Memory that is freed stays with the process while a stretch is trained again.

Between one step and the next a rerun frees all its signals. The C library would give the top of its heap back to the system each time, and
get it again page by page: of a step of a small convolutional network that is a fifth. Of glibc it can be asked not to; of others it is not,
nor where whoever started the process has set these thresholds: what they were could not be put back.
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
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, _MOST_FREE)
    try:
        yield
    finally:
        # Twice the largest piece, as glibc has it.
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
        libc.malloc_trim(_LARGEST)


def _is_set_from_without() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(name in os.environ for name in _VARIABLES) or any(name in tunables for name in _TUNABLES)
