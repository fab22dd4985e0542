"""The compiled moments of fused.c, where this installation has them.

They are built when bnprobe is installed and a C compiler is at hand; without them moments.py computes the same figures with torch, in four
reads of the signal instead of one.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.layout import Layout

LIBRARY = Path(__file__).with_name("_fused.so")
#: What a thread reads at a time; a signal of less than two such parts, four times what torch itself would share out, is read by one.
PART_BYTES = 2**18
#: Figures laid out in one block, 256 KiB.
BLOCK_FIGURES = 2**15
#: Figures behind the channel vectors; see ``moments.Moments``.
SUMMARY = 8

_size = ctypes.c_ssize_t
_pointer = ctypes.c_void_p
_int = ctypes.c_int


class Plan(NamedTuple):
    """How to walk over a signal: which axis is which, and how far apart its parts lie."""

    channels_last: bool
    samples: int
    channels: int
    positions: int
    sample_stride: int
    inner_stride: int
    #: (N, C) without positions is read as one sample of N positions: all its variance is between samples.
    between_only: bool

    @property
    def true_samples(self) -> int:
        """N."""
        return self.positions if self.between_only else self.samples

    @property
    def true_positions(self) -> int:
        """P."""
        return 1 if self.between_only else self.positions


@cache
def available() -> bool:
    """Whether the compiled moments are part of this installation; the environment variable BNPROBE_FUSED=0 leaves them unused."""
    return os.environ.get("BNPROBE_FUSED", "1") != "0" and _library() is not None


@lru_cache(maxsize=4096)
def plan(shape: tuple[int, ...], strides: tuple[int, ...], layout: Layout) -> Plan | None:
    """Return how to read a float32 signal of this shape, or None where its memory has gaps that the compiled code cannot walk over."""
    if len(shape) == 1:
        return Plan(True, 1, 1, shape[0], 0, strides[0], True)
    if len(shape) == 2:
        samples, channels = shape
        return Plan(True, 1, channels, samples, 0, strides[0], True) if strides[1] == 1 or channels == 1 else None
    channel, sample = layout.channel % len(shape), layout.sample
    inner = [axis for axis in range(len(shape)) if axis not in (channel, sample)]
    positions = int(np.prod([shape[axis] for axis in inner]))
    # The position axes must be one axis in memory: each as long as what lies within it.
    if any(strides[a] != strides[b] * shape[b] for a, b in pairwise(inner) if shape[a] > 1):
        return None
    step = strides[inner[-1]]
    if strides[channel] == 1 and shape[channel] > 1:
        return Plan(True, shape[sample], shape[channel], positions, strides[sample], step, False)
    if step == 1 or positions == 1:
        return Plan(False, shape[sample], shape[channel], positions, strides[sample], strides[channel], False)
    return None


def packed_moments(x: torch.Tensor, how: Plan) -> tuple[NDArray[np.float64], bool]:
    """Measure a float32 signal on the CPU.

    Args:
        x: the signal; its memory is read, nothing else is done with it.
        how: its plan.

    Returns:
        The packed moments (see ``moments.Moments``) and whether everything is finite; the count of non-finite values is left 0.
    """
    library = _library()
    result = _memory.cut(3 * how.channels + SUMMARY)
    table = _memory.scratch(2 * how.samples * how.channels)
    parts = x.numel() * 4 // PART_BYTES
    threads = torch.get_num_threads() if parts > 1 else 1
    parallel = _parallel() if threads > 1 else None
    finite = library.bnprobe_moments(
        x.data_ptr(), how.channels_last, *how[1:], table.ctypes.data, result.ctypes.data, parallel, threads, parts
    )
    return result, bool(finite)


class _Memory(threading.local):
    """Results and working tables in blocks of their own.

    Laid between the training's tensors, one small array each, they would split the memory that those give back, and the training's peak
    would rise by many times their size.
    """

    def __init__(self) -> None:
        self._block = np.empty(0)
        self._used = 0
        self._table = np.empty(0)

    def cut(self, count: int) -> NDArray[np.float64]:
        """Return an uninitialised vector; its block lives as long as any vector cut from it."""
        if self._used + count > self._block.size:
            self._block, self._used = np.empty(max(count, BLOCK_FIGURES)), 0
        self._used += count
        return self._block[self._used - count : self._used]

    def scratch(self, count: int) -> NDArray[np.float64]:
        """Return an uninitialised table, good until the next one is asked for."""
        if count > self._table.size:
            self._table = np.empty(count)
        return self._table


_memory = _Memory()


@cache
def _parallel() -> int | None:
    """Return the address of GOMP_parallel in the OpenMP runtime that torch's own kernels use (GNU's and LLVM's have it), None without."""
    own = sorted(Path(torch.__file__).with_name("lib").glob("libtorch_cpu.*"))
    for path in (*map(str, own), None):  # a library's symbols include those of what it was linked with; None: all that are public
        try:
            return ctypes.cast(ctypes.CDLL(path).GOMP_parallel, _pointer).value
        except (OSError, AttributeError):
            continue
    return None


@cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    library.bnprobe_moments.argtypes = [_pointer, _int, *[_size] * 5, _int, *[_pointer] * 3, ctypes.c_uint, _size]
    return library
