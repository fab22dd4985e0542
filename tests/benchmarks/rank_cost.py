"""What recording costs ranks, and what a page on several files costs.

    python tests/benchmarks/rank_cost.py             # steps of two gloo ranks; pages on one, two and four files; memory of a merge

Steps: bare and recorded ones in turn, in each of two processes that average their gradients (DistributedDataParallel over gloo), as the
median of the ratios of pairs, in processor time of the whole process; beside them the same network in one process. Everything is measured
at every step. Pages: processor time of `bnprobe report`, over that of one file of as many steps.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from workloads import residual_cnn

from bnprobe.launch import ending
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.ranks import trainings
from bnprobe.store.reader import read_run

WARM_UP, SAMPLES = 3, 32


def step_of(rank: int, world: int, norm: bool) -> Callable[[], None]:
    """Return one step of ResNet-20 on a share of the samples."""
    torch.manual_seed(0)
    model: nn.Module = residual_cnn(norm)
    if world > 1:
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(rank)
    inputs = torch.randn(SAMPLES, 3, 32, 32, generator=generator)
    targets = torch.randint(0, 10, (SAMPLES,), generator=generator)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def measure(rank: int, world: int, folder: str, count: int) -> None:
    """Time bare and recorded steps in turn; all ranks in the same order, since each waits for the other's gradients."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "BNPROBE_LAUNCH": "rank_cost"}
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    step = step_of(rank, world, norm=True)
    recorder = Recorder(Path(folder) / f"step.rank{rank}of{world}.h5", RecordOptions(budget=1e9), {})

    def bare() -> float:
        began = time.process_time()
        step()
        return time.process_time() - began

    def recorded() -> float:
        recorder.resume()
        began = time.process_time()
        step()
        recorder.settle()
        seconds = time.process_time() - began
        recorder.pause()
        return seconds

    for _ in range(WARM_UP):
        bare()
        recorded()
    pairs = []
    for index in range(count):
        if index % 2:
            after, before = recorded(), bare()
        else:
            before, after = bare(), recorded()
        pairs.append((before, after))
    low, middle, high = statistics.quantiles([after / before for before, after in pairs], n=4)
    plain, with_us = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    name = f"rank {rank} of {world}" if world > 1 else "one process"
    sys.stdout.write(f"{name:20} {plain:9.2f} {with_us:12.2f} {middle:7.3f} {low:7.3f}-{high:6.3f}\n")
    sys.stdout.flush()
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


def record(folder: Path, rank: int, world: int, steps: int) -> Path:
    """Record a rank whose gradients nobody averages: what its file holds is the same in kind."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "BNPROBE_LAUNCH": f"of{world}"}
    path = folder / f"page{world}.rank{rank}.h5"
    recorder = Recorder(path, RecordOptions(budget=1e9), {"created": "2026-01-01T00:00:00+00:00"})
    recorder.install()
    step = step_of(rank, 1, norm=True)
    for _ in range(steps):
        step()
    recorder.finish(ending.finished())
    return path


def page_seconds(paths: list[Path]) -> float:
    """Return the processor time of a page, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "bnprobe", "report", *map(str, paths), "-o", str(paths[0].with_suffix(".html"))]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pages(folder: Path, steps: int) -> None:
    """Print what pages cost, and what a merge takes beside its result."""
    torch.set_num_threads(2)
    files = {world: [record(folder, rank, world, steps) for rank in range(world)] for world in (1, 2, 4)}
    seconds = {world: min(page_seconds(paths) for _ in range(3)) for world, paths in files.items()}
    print(f"\n{'files of':>10} {steps} steps {'page s':>8} {'ratio':>7} {'merged in s':>12} {'result MiB':>11} {'beside it MiB':>14}")
    for world, paths in files.items():
        runs = [read_run(path) for path in paths]
        began = time.process_time()
        trainings(runs)
        merging = time.process_time() - began
        tracemalloc.start()
        kept_runs = trainings(runs)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept_runs
        print(
            f"{world:>10} {'':10} {seconds[world]:9.2f} {seconds[world] / seconds[1]:7.2f} {merging:12.2f}",
            f"{kept / 2**20:11.1f} {(peak - kept) / 2**20:14.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--pairs", type=int, default=40)
    parser.add_argument("-s", "--steps", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(f"{'':20} {'bare ms':>9} {'recorded ms':>12} {'ratio':>7} {'quartiles':>15}", flush=True)
        for world in (1, 2):
            mp.start_processes(measure, args=(world, name, arguments.pairs), nprocs=world, start_method="spawn")
        pages(Path(name), arguments.steps)


if __name__ == "__main__":
    main()
