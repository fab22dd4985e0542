"""The compiled moments and norms of fused.c, where this installation has them.

They are built when bnprobe is installed and a C compiler is at hand; without them moments.py and norms.py compute the same figures with
torch, moments in four reads of the signal instead of one.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.layout import Layout
from bnprobe.measure.pages import Blocks, pages
from bnprobe.torch_private import gradient_of

LIBRARY = Path(__file__).with_name("_fused.so")
#: What a thread reads at a time; a signal of less than two such parts is read by one.
PART_BYTES = 2**18
#: Values beyond which torch shares a tensor between threads. Where it has started none, nor do we: a program may fork, and threads that
#: exist only in the parent are waited for in vain.
GRAIN = 2**15
#: As in fused.c; a power of two.
MOST_PARTS = 64
#: Of fused.c, which an earlier installation may have compiled: its functions would be called with what they do not expect.
INTERFACE = 5
#: Of tensors.c, likewise.
TENSORS_INTERFACE = 3
#: As in fused.c: values whose squares one thread adds up at a time.
CHUNK = 2**16
#: Labels from 0 on that are counted.
MOST_CLASSES = 2**16
#: Figures behind the channel vectors; see ``moments.Moments``.
SUMMARY = 8

_size = ctypes.c_ssize_t
_pointer = ctypes.c_void_p


class Plan(ctypes.Structure):
    """How to walk over a signal: which axis is which, how far apart its parts lie, and how many parts threads may share.

    ``between_only``: (N, C) without positions is read as one sample of N positions, or a few of equal size that threads may share; all its
    variance is between samples.
    """

    _fields_ = tuple(
        (name, _size)
        for name in ("channels_last", "samples", "channels", "positions", "sample_stride", "inner_stride", "between_only", "parts")
    )

    def __init__(
        self,
        channels_last: bool,
        samples: int,
        channels: int,
        positions: int,
        sample_stride: int,
        inner_stride: int,
        between_only: bool = False,
    ) -> None:
        parts = min(samples, samples * channels * positions * 4 // PART_BYTES, MOST_PARTS)
        super().__init__(channels_last, samples, channels, positions, sample_stride, inner_stride, between_only, max(parts, 1))
        self.address = ctypes.addressof(self)
        #: Length of the packed moments, and of the table that is needed on the way.
        self.result_length, self.table_length = 3 * channels + SUMMARY, 2 * samples * channels
        #: N and P of the signal as it is.
        self.true_samples, self.true_positions = (samples * positions, 1) if between_only else (samples, positions)


@cache
def available() -> bool:
    """Whether the compiled moments are part of this installation; the environment variable BNPROBE_FUSED=0 leaves them unused."""
    return os.environ.get("BNPROBE_FUSED", "1") != "0" and _library() is not None


@lru_cache(maxsize=4096)
def plan(shape: tuple[int, ...], strides: tuple[int, ...], layout: Layout) -> Plan | None:
    """Return how to read a float32 signal of this shape; None where it is empty, or has gaps that the compiled code cannot walk over."""
    if 0 in shape:
        return None
    if len(shape) == 1:
        return Plan(True, 1, 1, shape[0], 0, strides[0], between_only=True)
    if len(shape) == 2:
        samples, channels = shape
        if strides[1] != 1 and channels != 1:
            return None
        most = MOST_PARTS if samples * channels * 4 >= 2 * PART_BYTES else 1
        runs = math.gcd(samples, most)
        return Plan(True, runs, channels, samples // runs, samples // runs * strides[0], strides[0], between_only=True)
    channel, sample = layout.channel % len(shape), layout.sample
    inner = [axis for axis in range(len(shape)) if axis not in (channel, sample)]
    positions = int(np.prod([shape[axis] for axis in inner]))
    # The position axes must be one axis in memory: each as long as what lies within it.
    if any(strides[a] != strides[b] * shape[b] for a, b in pairwise(inner) if shape[a] > 1):
        return None
    step = strides[inner[-1]]
    if strides[channel] == 1 and shape[channel] > 1:
        return Plan(True, shape[sample], shape[channel], positions, strides[sample], step)
    if step == 1 or positions == 1:
        return Plan(False, shape[sample], shape[channel], positions, strides[sample], strides[channel])
    return None


def packed_moments(x: torch.Tensor, how: Plan) -> tuple[NDArray[np.float64], float]:
    """Measure a float32 signal on the CPU.

    Args:
        x: the signal; its memory is read, nothing else is done with it.
        how: its plan.

    Returns:
        The packed moments (see ``moments.Moments``) and the largest magnitude, NaN where not everything is finite; the count of non-finite
        values is left 0.
    """
    result, address = _memory.cut(how.result_length)
    table = _memory.scratch(how.table_length)
    return result, _library().bnprobe_moments(x.data_ptr(), how.address, table, address, _team(torch.get_num_threads()))


def lengths(
    tensors: Sequence[torch.Tensor | None],
    minus: Sequence[torch.Tensor | None] | None = None,
    copies: Sequence[torch.Tensor | None] | None = None,
) -> NDArray[np.float64] | None:
    """Return (k,) Euclidean norms in float64, and copy on the way; None where a tensor is not ``is_walkable``, or nothing is compiled.

    Args:
        tensors: those whose norms are taken. Without one, NaN.
        minus: what is subtracted from each first, of the same shapes.
        copies: where each is copied to, unless that is None.
    """
    if not available():
        return None
    count = len(tensors)
    sizes, begin = _memory.addresses(count)
    largest = _walk(tensors, begin[0], begin[3])
    if largest is None:
        return None
    for others, place in ((minus, 1), (copies, 2)):
        if others is not None and _walk(others, begin[place], begin[4]) is None:
            return None
    table = np.empty(2 * count + int(sizes[:count].sum()) // CHUNK)  # sums of squares, then those of each chunk
    sums = table.ctypes.data
    _library().bnprobe_norms(
        begin[0],
        begin[1] if minus is not None else None,
        begin[2] if copies is not None else None,
        begin[3],
        count,
        sums + 8 * count,
        sums,
        _team(torch.get_num_threads() if largest > GRAIN else 1),
    )
    found: NDArray[np.float64] = np.sqrt(table[:count])
    missing = [place for place, tensor in enumerate(tensors) if tensor is None]
    if missing:
        found[missing] = np.nan
    return found


def _walk(tensors: Sequence[torch.Tensor | None], addresses: int, sizes: int) -> int | None:
    """Note where tensors lie, and how many numbers each has, in two tables; return the largest size, None where one is not walkable."""
    compiled = _tensors()
    if compiled is not None:
        return compiled.walk(tensors, addresses, sizes, torch.Tensor, torch.nn.Parameter, torch.float32, torch.strided)  # type: ignore[no-any-return]
    if not all(tensor is None or is_walkable(tensor) for tensor in tensors):
        return None
    numbers: list[Any] = [0 if tensor is None else tensor.numel() for tensor in tensors]
    (_size * len(tensors)).from_address(sizes)[:] = numbers
    places: list[Any] = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    (_pointer * len(tensors)).from_address(addresses)[:] = places
    return max(numbers, default=0)


def gradients(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor | None]:
    """Return the gradient that each tensor holds, if any."""
    compiled = _tensors()
    return [gradient_of(one) for one in parameters] if compiled is None else compiled.gradients(parameters)


def numbers_among(things: Sequence[object]) -> list[torch.Tensor]:
    """Return the tensors of floating-point or complex numbers among some things, each once, in their order."""
    compiled = _tensors()
    if compiled is not None:
        return compiled.numbers_among(things, torch.Tensor)  # type: ignore[no-any-return]
    found = [one for one in things if isinstance(one, torch.Tensor) and (one.is_floating_point() or one.is_complex())]
    return list({id(one): one for one in found}.values())


def evaluation_gap(
    packed: NDArray[np.float64], running_mean: torch.Tensor, running_variance: torch.Tensor, eps: float
) -> NDArray[np.float64]:
    """Return (1,), what ``batch_norm.evaluation_gap`` returns.

    Args:
        packed: (3 C + 8,) moments of what a batch norm received, in memory without gaps.
        running_mean: (C,), ``is_walkable``.
        running_variance: likewise.
        eps: what it adds to a variance.
    """
    channels, statistics = len(running_mean), (running_mean.data_ptr(), running_variance.data_ptr())
    return np.sqrt([_library().bnprobe_gap(packed.ctypes.data, *statistics, channels, eps)])


def class_counts(labels: torch.Tensor, ignored: int | None) -> tuple[NDArray[np.int64], int] | None:
    """Count the labels of each class.

    Args:
        labels: int64 on the CPU, in one piece, and small as classes are.
        ignored: the label that does not count, if any.

    Returns:
        Of each class that is there how many labels, in order; and the most frequent one, the first of several. None where the labels are
        otherwise, none counts, or the compiled code is older than this.
    """
    count = getattr(_library(), "bnprobe_classes", None) if available() else None
    is_laid = type(labels) is torch.Tensor and labels.dtype is torch.int64 and labels.is_cpu and labels.is_contiguous()
    if count is None or not is_laid:
        return None
    counts, address = _memory.labels()
    frequent = ctypes.c_int64()
    left_out = -(2**63) if ignored is None else ignored
    classes = count(labels.data_ptr(), labels.numel(), left_out, address, len(counts), ctypes.byref(frequent))
    return (counts[:classes], frequent.value) if classes else None


def is_walkable(tensor: torch.Tensor) -> bool:
    """Whether ``lengths`` can read a tensor: float32 numbers on the CPU that lie side by side."""
    return (
        (type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter)
        and tensor.dtype is torch.float32
        and tensor.layout is torch.strided
        and tensor.is_cpu
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and (tensor.data_ptr() != 0 or not tensor.numel())  # 0: its memory was given back
    )


class _Memory(Blocks):
    """Results, cut from blocks, and working tables."""

    def __init__(self) -> None:
        super().__init__()
        self._table = np.empty(0), 0
        self._counts = np.empty(0, np.int64)
        self._addresses: tuple[NDArray[np.int64], tuple[int, ...]] = np.empty((5, 0), np.int64), (0,) * 5

    def addresses(self, count: int) -> tuple[NDArray[np.int64], tuple[int, ...]]:
        """Return the fourth of five tables for so many tensors, and where each of the five begins; good until they are asked for again."""
        if count > self._addresses[0].shape[1]:
            tables = np.empty((5, 2 * count), np.int64)
            first, step = tables.ctypes.data, 16 * count
            self._addresses = tables, tuple(first + step * place for place in range(5))  # in one, as below
        tables, begins = self._addresses
        return tables[3], begins

    def labels(self) -> tuple[NDArray[np.int64], int]:
        """Return a table of counts, good until the next one is asked for, and its address."""
        if not self._counts.size:
            self._counts = np.empty(MOST_CLASSES, np.int64)
        return self._counts, self._counts.ctypes.data

    def scratch(self, count: int) -> int:
        """Return the address of an uninitialised table, good until the next one is asked for."""
        if count > self._table[0].size:
            table = pages(count)
            self._table = table, table.ctypes.data  # in one, as a signal's handler may raise between any two lines
        return self._table[1]


_memory = _Memory()


class _Team(ctypes.Structure):
    """The threads that share a reading."""

    _fields_ = (("parallel", _pointer), ("thread", _pointer), ("threads", ctypes.c_uint))


@cache
def _team(threads: int) -> _Team:
    return _Team(*(_runtime() if threads > 1 else (None, None)), threads)


def asks_tensors() -> tuple[Any, int] | None:
    """Return what is compiled to ask many tensors at once, and where the function is that takes their norms; None without either."""
    compiled = _tensors() if available() else None
    return None if compiled is None else (compiled, int(ctypes.cast(_library().bnprobe_norms, _pointer).value or 0))


def reader_address() -> int:
    """Return where the function that ``packed_moments`` calls is."""
    return int(ctypes.cast(_library().bnprobe_moments, _pointer).value or 0)


def team_address() -> int:
    """Return where the threads that share a reading are described, as many as torch now uses."""
    return ctypes.addressof(_team(torch.get_num_threads()))


@cache
def _runtime() -> tuple[int | None, int | None]:
    """Return where GOMP_parallel and omp_get_thread_num are in the OpenMP runtime that torch's own kernels use: GNU's and LLVM's."""
    own = sorted(Path(torch.__file__).with_name("lib").glob("libtorch_cpu.*"))
    for path in (*map(str, own), None):  # a library's symbols include those of what it was linked with; None: all that are public
        try:
            runtime = ctypes.CDLL(path)
            functions = (runtime.GOMP_parallel, runtime.omp_get_thread_num)
        except (OSError, AttributeError):
            continue
        return ctypes.cast(functions[0], _pointer).value, ctypes.cast(functions[1], _pointer).value
    return None, None


@cache
def _tensors() -> Any:
    """Return what is compiled for this version of Python to ask many tensors at once; None where nothing is."""
    try:
        from bnprobe.measure import _tensors as compiled  # type: ignore[attr-defined]
    except ImportError:
        return None
    return compiled if compiled.INTERFACE == TENSORS_INTERFACE else None


@cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(str(LIBRARY))
        if library.bnprobe_interface() != INTERFACE:
            return None
    except (OSError, AttributeError):
        return None
    library.bnprobe_moments.argtypes = [*[_pointer] * 4, ctypes.POINTER(_Team)]
    library.bnprobe_moments.restype = ctypes.c_double
    library.bnprobe_norms.argtypes = [*[_pointer] * 4, _size, *[_pointer] * 2, ctypes.POINTER(_Team)]
    library.bnprobe_norms.restype = None
    if hasattr(library, "bnprobe_classes"):  # an installation that was compiled before it has none
        library.bnprobe_classes.argtypes = [_pointer, _size, ctypes.c_int64, _pointer, _size, _pointer]
        library.bnprobe_classes.restype = _size
    library.bnprobe_gap.argtypes = [*[_pointer] * 3, _size, ctypes.c_double]
    library.bnprobe_gap.restype = ctypes.c_double
    return library
