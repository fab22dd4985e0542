"""What recording costs: bare and recorded steps in turn, in one process, as the ratio of medians.

    python tests/benchmarks/overhead.py              # the four workloads, 20 pairs each
    python tests/benchmarks/overhead.py -w a -n 40   # one of them, more pairs
    python tests/benchmarks/overhead.py --profile -w d

Recorded steps measure everything bnprobe has: all layers, activations, activation gradients, parameter norms, at every step. The floor is
what reading each measured byte once would take at the bandwidth measured in the same run.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from workloads import WORKLOADS, Step

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workload", choices=sorted(WORKLOADS), nargs="*", default=sorted(WORKLOADS))
    parser.add_argument("-n", "--pairs", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="show where the recorder spends its time")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, and its processor time: for a machine that others use, too")
    arguments = parser.parse_args()
    if arguments.cpu_time:
        global clock
        clock = time.thread_time
        torch.set_num_threads(1)
    print(f"{'workload':10} {'bare ms':>9} {'recorded ms':>12} {'ratio':>7} {'quartiles':>15} {'floor':>7}")
    for name in arguments.workload:
        torch.manual_seed(0)
        step = WORKLOADS[name]()
        with tempfile.TemporaryDirectory() as folder:
            recorder = Recorder(Path(folder) / "run.h5", RecordOptions(budget=1e9), {})
            if arguments.profile:
                profile(recorder, step)
                continue
            report(name, *pairs(recorder, step, arguments.pairs), floor(recorder, step))


def pairs(recorder: Recorder, step: Step, count: int) -> tuple[list[float], list[float]]:
    """Time bare and recorded steps in turn; which comes first alternates, so that drift favours neither."""
    for _ in range(3):
        timed(step)
        recorded(recorder, step)
    bare, with_recorder = [], []
    for index in range(count):
        for is_recorded in (index % 2 == 0, index % 2 == 1):
            if is_recorded:
                with_recorder.append(recorded(recorder, step))
            else:
                bare.append(timed(step))
    return bare, with_recorder


clock = time.perf_counter


def timed(step: Callable[[], None]) -> float:
    began = clock()
    step()
    return clock() - began


def recorded(recorder: Recorder, step: Step) -> float:
    recorder.resume()
    seconds = timed(lambda: (step(), recorder.settle()))
    recorder.pause()
    return seconds


def floor(recorder: Recorder, step: Step) -> float:
    """Return the seconds it takes to read every measured byte once."""
    from bnprobe.observe import forward

    measured = 0
    original = forward.moments

    def counting(x: torch.Tensor, layout: object) -> object:
        nonlocal measured
        measured += x.numel() * x.element_size()
        return original(x, layout)

    forward.moments = counting
    recorded(recorder, step)
    forward.moments = original
    block = torch.randn(16 * 2**20)
    block.sum()
    seconds = min(timed(lambda: block.sum()) for _ in range(5))
    return measured / (block.numel() * 4 / seconds)


def report(name: str, bare: list[float], with_recorder: list[float], floor_seconds: float) -> None:
    ratios = sorted(after / before for before, after in zip(bare, with_recorder, strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    plain, observed = statistics.median(bare), statistics.median(with_recorder)
    print(
        f"{name:10} {plain * 1e3:9.2f} {observed * 1e3:12.2f} {middle:7.3f} {low:7.3f}-{high:6.3f} {1 + floor_seconds / plain:7.3f}",
        flush=True,
    )


def profile(recorder: Recorder, step: Step) -> None:
    for _ in range(3):
        recorded(recorder, step)
    profiler = cProfile.Profile()
    recorder.resume()
    profiler.enable()
    for _ in range(5):
        step()
        recorder.settle()
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
