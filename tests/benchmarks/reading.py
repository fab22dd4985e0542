"""How fast a signal is read whose positions lie together, as processor time of one thread: this checkout beside another one.

    python tests/benchmarks/reading.py                      # by vectors of 16 values and of 8, whichever were compiled
    python tests/benchmarks/reading.py --against CHECKOUT   # what another checkout's library takes for the same, in turn with ours

Two microseconds of each call are the interpreter's. Vectors of 8 are those of processors that have AVX2 and no AVX-512.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bnprobe.measure import fused

SHAPES = ((128, 16, 32, 32), (128, 32, 16, 16), (128, 64, 8, 8), (16, 256, 7, 7), (16, 256, 14, 14), (64, 64, 28, 28), (8, 32, 56, 56))
FUNCTIONS = ("bnprobe_rows_of_16", "bnprobe_rows_of_8", "bnprobe_rows")
clock = time.thread_time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout, whose library is built")
    parser.add_argument("-n", "--rounds", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    readers = {"now": loaded(fused.LIBRARY)}
    if arguments.against:
        readers["before"] = loaded(arguments.against / fused.LIBRARY.relative_to(Path(__file__).parents[2]))
    found = {
        f"{name} {function.removeprefix('bnprobe_')}": prepared(library, function)
        for name, library in readers.items()
        for function in FUNCTIONS
        if function != "bnprobe_rows_of_16"
        or torch.backends.cpu.get_cpu_capability() == "AVX512"  # another processor stops at its first instruction
    }
    calls = {name: call for name, call in found.items() if call is not None}
    print("microseconds        " + "".join(f"{name:>19}" for name in calls))
    for shape in SHAPES:
        x = torch.randn(shape)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(arguments.rounds):
            for name, call in calls.items():
                call(x)  # what the one before it has left in the caches is not its own
                began = clock()
                call(x)
                times[name].append(clock() - began)
        print(
            f"{'x'.join(map(str, shape)):20}" + "".join(f"{statistics.quantiles(one, n=5)[0] * 1e6:19.1f}" for one in times.values()),
            flush=True,
        )


def loaded(path: Path) -> Any:
    """Load a library; without one there is nothing to measure."""
    if not path.is_file():
        raise SystemExit(f"{path} is not there: build it with a C compiler at hand, by `pip install -e .` in its checkout")
    return ctypes.CDLL(str(path))


def prepared(library: Any, name: str) -> Callable[[torch.Tensor], None] | None:
    """Return what reads a signal by one of a library's functions; None where it has none of that name."""
    read = getattr(library, name, None)
    if read is None:
        return None
    read.argtypes = [ctypes.c_void_p, *[ctypes.c_ssize_t] * 6, *[ctypes.c_void_p] * 3]

    def call(x: torch.Tensor) -> None:
        samples, channels, positions = x.shape[0], x.shape[1], x[0, 0].numel()
        tables, scalars = np.empty((2, samples, channels)), np.empty(3)
        places = (tables[0].ctypes.data, tables[1].ctypes.data, scalars.ctypes.data)
        read(x.data_ptr(), 0, samples, channels, positions, *x.stride()[:2], *places)

    return call


if __name__ == "__main__":
    main()
