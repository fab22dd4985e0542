"""Read run files with pyfive, an HDF5 reader in pure python, and see whether it could stand for the process that may die of a file.

    pip install pyfive && python -m tests.benchmarks.pyfive_reader [--files 1000] [RUN ...]

For each run: the variables that it reads as h5py does, those that it does not, and the processor time of both. Then damaged files, those of
``tests.benchmarks.fuzz``, in this process, under a limit of memory and of time: how many exceed either, and what is raised.
"""

from __future__ import annotations

import argparse
import collections
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyfive

from tests.benchmarks.fuzz import mutate, originals

MEMORY_LIMIT_BYTES = 700 * 2**20
SECONDS_LIMIT = 5


class TooSlow(BaseException):
    """The time for a file is over."""


def compare(path: Path) -> str:
    """Read every variable both ways."""
    equal, other = 0, []
    seconds = {pyfive: 0.0, h5py: 0.0}
    with pyfive.File(path) as tried, h5py.File(path) as reference:
        for name in reference:
            results = []
            for module, file in ((pyfive, tried), (h5py, reference)):
                started = time.process_time()
                try:
                    results.append(plain(file[name][()]))
                except Exception as error:
                    results.append(error)
                seconds[module] += time.process_time() - started
            if isinstance(results[0], Exception):
                other.append(f"{name} ({reference[name].dtype}): {results[0]!r:.80}")
            elif same(*results):
                equal += 1
            else:
                other.append(f"{name}: unequal")
    times = f"{seconds[pyfive]:.3f} s against {seconds[h5py]:.3f} s"
    return "\n    ".join([f"{path}: {equal} variables equal, {len(other)} not; {times}", *other])


def plain(values: Any) -> np.ndarray[Any, Any]:
    """Texts as texts."""
    array = np.asarray(values)
    if array.dtype.kind != "O":
        return array
    return np.array([one.decode() if isinstance(one, bytes) else one for one in array.tolist()], dtype=object)


def same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def fuzz(files: int) -> str:
    """Read damaged files."""

    def ring(*_: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, ring)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_LIMIT_BYTES,) * 2)
    raised: collections.Counter[str] = collections.Counter()
    slow, large, longest = 0, 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mutant.h5"
        datas = [source.read_bytes() for source in originals(Path(name))]
        for number in range(files):
            path.write_bytes(mutate(datas[number % len(datas)], datas, random.Random(f"0-{number}"))[1])
            started = time.monotonic()
            signal.alarm(SECONDS_LIMIT)
            try:
                found = read_all(path)
                large += bool(found.pop("MemoryError", 0))
                raised += found
            except TooSlow:
                slow += 1
            finally:
                signal.alarm(0)
            longest = max(longest, time.monotonic() - started)
    counts = ", ".join(f"{kind} {count}" for kind, count in raised.most_common())
    return f"{files} damaged files: {slow} too slow, {large} too large, longest {longest:.2f} s; raised: {counts}"


def read_all(path: Path) -> collections.Counter[str]:
    """Read what can be read; return what was raised, by kind."""
    raised: collections.Counter[str] = collections.Counter()
    try:
        with pyfive.File(path) as file:
            dict(file.attrs)
            for name in list(file):
                try:
                    file[name][()]
                except Exception as error:
                    raised[type(error).__name__] += 1
    except Exception as error:
        raised[type(error).__name__] += 1
    return raised


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("runs", type=Path, nargs="*", default=[Path("sample_runs/diverged.h5")], metavar="RUN")
    arguments = parser.parse_args()
    for path in arguments.runs:
        print(compare(path))
    print(fuzz(arguments.files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
