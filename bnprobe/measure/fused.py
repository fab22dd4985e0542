"""The compiled moments of fused.c, where this installation has them.

They are built when bnprobe is installed and a C compiler is at hand; without them moments.py computes the same figures with torch, in four
reads of the signal instead of one.
"""

from __future__ import annotations

import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.layout import Layout

LIBRARY = Path(__file__).with_name("_fused.so")
#: Below this size a second thread costs more than it saves.
SPLIT_BYTES = 2**20
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
    parts = _split(how.samples, x.numel() * 4)
    if len(parts) == 1:
        finite = library.bnprobe_moments(x.data_ptr(), how.channels_last, *how[1:], table.ctypes.data, result.ctypes.data)
        return result, bool(finite)
    scalars = np.empty((len(parts), 3))
    read = library.bnprobe_columns if how.channels_last else library.bnprobe_rows
    mean, begin = table.ctypes.data, scalars.ctypes.data
    m2 = mean + 8 * how.samples * how.channels

    def run(index: int) -> None:
        read(x.data_ptr(), *parts[index], *how[2:6], mean, m2, begin + 24 * index)

    list(_threads(len(parts)).map(run, range(len(parts))))
    finite = library.bnprobe_reduce(how.samples, how.channels, how.positions, mean, m2, how.between_only, result.ctypes.data)
    result[-SUMMARY : -SUMMARY + 4] = scalars[:, 0].min(), scalars[:, 1].max(), scalars[:, 2].sum(), 0.0
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


def _split(samples: int, size: int) -> list[tuple[int, int]]:
    if size < 2 * SPLIT_BYTES or samples < 2:
        return [(0, samples)]
    count = min(torch.get_num_threads(), samples, size // SPLIT_BYTES)
    edges = [samples * index // count for index in range(count + 1)]
    return list(pairwise(edges))


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="bnprobe")


@cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    for function in (library.bnprobe_rows, library.bnprobe_columns):
        function.argtypes = [_pointer, *[_size] * 6, *[_pointer] * 3]
        function.restype = None
    library.bnprobe_reduce.argtypes = [*[_size] * 3, _pointer, _pointer, _int, _pointer]
    library.bnprobe_moments.argtypes = [_pointer, _int, *[_size] * 5, _int, _pointer, _pointer]
    return library
