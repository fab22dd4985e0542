"""What recording costs: bare and recorded steps in turn, in one process, as the ratio of medians.

    python tests/benchmarks/overhead.py              # the four workloads, 20 pairs each
    python tests/benchmarks/overhead.py -w a -n 40   # one of them, more pairs
    python tests/benchmarks/overhead.py --profile -w d

    python tests/benchmarks/overhead.py --peers      # beside them what other tools cost for similar content, where they are installed
    python tests/benchmarks/overhead.py --budget     # what is left of it under the default budget, over many steps
    python tests/benchmarks/overhead.py --unmeasured -n 60 --cpu-time -w c   # microseconds that a step costs of which nothing is measured

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
from typing import Any

import torch
from workloads import WORKLOADS, Step, Workload

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workload", choices=sorted(WORKLOADS), nargs="*", default=sorted(WORKLOADS))
    parser.add_argument("-n", "--pairs", type=int, default=20)
    parser.add_argument("--peers", action="store_true", help="measure plain hooks, wandb.watch and torchinstruments as well")
    parser.add_argument("--budget", action="store_true", help="blocks of steps under the default budget instead of single ones")
    parser.add_argument("--unmeasured", action="store_true", help="short blocks of steps of which nothing is measured, in microseconds")
    parser.add_argument("--profile", action="store_true", help="show where the recorder spends its time")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, and its processor time: for a machine that others use, too")
    arguments = parser.parse_args()
    if arguments.cpu_time:
        global clock
        clock = time.thread_time
        torch.set_num_threads(1)
    print(f"{'workload':30} {'bare ms':>9} {'recorded ms':>12} {'ratio':>7} {'quartiles':>15} {'floor':>7}")
    for name in arguments.workload:
        torch.manual_seed(0)
        step = WORKLOADS[name]().step
        with tempfile.TemporaryDirectory() as folder:
            recorder = Recorder(Path(folder) / "run.h5", RecordOptions(budget=1e9), {})
            if arguments.profile:
                profile(recorder, step)
                continue
            if arguments.budget:
                report_budget(name, Path(folder) / "budget.h5", step, arguments.pairs)
                continue
            if arguments.unmeasured:
                report_unmeasured(name, Path(folder) / "unmeasured.h5", step, arguments.pairs)
                continue
            report(name, *pairs(recorder, step, arguments.pairs), floor(recorder, step))
        if arguments.peers:
            for peer in PEERS:
                torch.manual_seed(0)
                report_peer(peer, WORKLOADS[name](), WORKLOADS[name](), arguments.pairs)


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
    delivery = recorder._output.delivery
    measured = 0

    def counting(*args: Any) -> None:
        nonlocal measured
        measured += sum(tap.moments.size * tap.dtype.itemsize for tap in args[1])
        take(*args)

    take, delivery.take = delivery.take, counting
    try:
        recorded(recorder, step)
    finally:
        delivery.take = take
    assert measured, "no signal was counted"
    block = torch.randn(16 * 2**20)
    block.sum()
    seconds = min(timed(lambda: block.sum()) for _ in range(5))
    return measured / (block.numel() * 4 / seconds)


def report(name: str, bare: list[float], with_recorder: list[float], floor_seconds: float) -> None:
    ratios = sorted(after / before for before, after in zip(bare, with_recorder, strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    plain, observed = statistics.median(bare), statistics.median(with_recorder)
    print(
        f"{name:30} {plain * 1e3:9.2f} {observed * 1e3:12.2f} {middle:7.3f} {low:7.3f}-{high:6.3f} {1 + floor_seconds / plain:7.3f}",
        flush=True,
    )


def report_budget(name: str, path: Path, step: Step, blocks: int) -> None:
    """Record blocks of about half a second under the default budget, after the seconds that are free, and time bare blocks in between."""
    recorder = Recorder(path, RecordOptions(), {})
    length = max(1, int(0.5 / min(timed(step) for _ in range(5))))
    block = lambda: [step() for _ in range(length)]  # noqa: E731
    recorder.resume()
    began = time.perf_counter()
    while time.perf_counter() - began < 12.0:  # past the free seconds, with a stride that has settled
        block()
    recorder.pause()
    bare, with_recorder = [], []
    for _ in range(blocks):
        bare.append(timed(block))
        recorder.resume()
        with_recorder.append(timed(block))
        recorder.pause()
    report(name, [seconds / length for seconds in bare], [seconds / length for seconds in with_recorder], 0.0)
    print(f"{'':10} layers measured every {recorder._output.schedule.stride} steps; blocks of {length} steps")


def report_unmeasured(name: str, path: Path, step: Step, blocks: int) -> None:
    """Time short blocks with and without the recorder in turn, where every thousandth step is measured; print what a step costs more."""
    recorder = Recorder(path, RecordOptions(budget=0.0, free_seconds=0.0), {})
    block = lambda: [step() for _ in range(40)]  # noqa: E731
    recorder.resume()
    for _ in range(5):
        block()
    recorder.pause()
    bare, with_recorder = [], []
    for _ in range(blocks):
        bare.append(timed(block) / 40 * 1e6)
        recorder.resume()
        step()
        with_recorder.append(timed(block) / 40 * 1e6)
        recorder.pause()
    low, middle, high = statistics.quantiles([after - before for before, after in zip(bare, with_recorder, strict=True)], n=4)
    plain, least = statistics.median(bare), min(with_recorder) - min(bare)
    print(f"{name:30} bare {plain:.0f} us; recorded {middle:.0f} more ({low:.0f} to {high:.0f}), fastest blocks {least:.0f} more")


def report_peer(attach: Callable[[torch.nn.Module, Path], None], bare: Workload, watched: Workload, count: int) -> None:
    """Time a tool on a workload of its own beside a bare one."""
    name = attach.__name__
    with tempfile.TemporaryDirectory() as folder:
        try:
            attach(watched.model, Path(folder))
        except ImportError as error:
            print(f"  {name}: not installed ({error})")
            return
        for _ in range(3):
            timed(bare.step)
            timed(watched.step)
        pairs = [(timed(bare.step), timed(watched.step)) for _ in range(count)]
    report(f"  {name}"[:24], [before for before, _ in pairs], [after for _, after in pairs], 0.0)


def var_mean_hooks(model: torch.nn.Module, folder: Path) -> None:
    """Plain hooks with torch.var_mean per channel, extremes and zeros of every leaf's output and its gradient; nothing is stored."""
    kept = {}

    @torch.no_grad()
    def measure(key: object, x: torch.Tensor) -> None:
        axes = [axis for axis in range(x.dim()) if axis != (1 if x.dim() != 3 else 2)]
        kept[key] = (torch.var_mean(x, dim=axes), torch.aminmax(x), x.numel() - torch.count_nonzero(x))

    def hook(module: torch.nn.Module, args: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point() and output.dim() > 1:
            measure((module, "output"), output.detach())
            if output.requires_grad:
                output.register_hook(lambda gradient: measure((module, "gradient"), gradient))

    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(hook)


def wandb_watch(model: torch.nn.Module, folder: Path) -> None:
    """wandb.watch(log="all") at every step, offline: histograms of parameters and of their gradients (no activations)."""
    import wandb

    run = wandb.init(mode="offline", dir=str(folder), project="overhead", settings=wandb.Settings(silent=True))
    run.watch(model, log="all", log_freq=1)
    model.register_forward_hook(lambda *_: run.log({}))


def torchinstruments_every_step(model: torch.nn.Module, folder: Path) -> None:
    """torchinstruments, sampling every forward."""
    from datetime import timedelta

    from torchinstruments import inject_observer

    inject_observer(model, interval=timedelta(microseconds=1), output_dir=str(folder / "stats"))


PEERS = (var_mean_hooks, wandb_watch, torchinstruments_every_step)


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
