"""What a recorded step costs in processor time, against another state of the project, or stage by stage.

    python -m tests.benchmarks.step_profile                               # the recorder's part of a measured step, four networks
    python -m tests.benchmarks.step_profile --against ../before           # and how many times that of another checkout
    python -m tests.benchmarks.step_profile --stages -w mlp               # how much of it lies where
    python -m tests.benchmarks.step_profile --unmeasured                  # steps of which nothing is measured

For a machine that others use, too: one thread and its processor time. Blocks of 32 steps alternate between bare and recorded, and between
the two checkouts, each in a process of its own. Every step is timed alone; of each place in a block the lower decile over the blocks
counts, and these are added up, so that work that is put off for some steps counts as well. The other checkout needs its compiled moments:
``gcc -O3 -fPIC -shared -o bnprobe/measure/_fused.so bnprobe/measure/fused.c``.

``--stages`` gives the lower quartile over blocks of the mean of a step, and counts the time of a function without that of the stages it
calls. Its clock is asked twice at every call, some 0.5 us.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

BLOCK = 32
HERE = Path(__file__).resolve()
clock = time.thread_time_ns


def mlp(norm: bool) -> tuple[nn.Module, torch.Tensor]:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(128, 128), *([nn.BatchNorm1d(128)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 10)), torch.randn(128, 128)


def cnn(norm: bool) -> tuple[nn.Module, torch.Tensor]:
    layers: list[nn.Module] = []
    width = 3
    for wider in (8, 8, 16, 16, 32, 32):
        stride = 2 if wider > width > 3 else 1
        layers += [nn.Conv2d(width, wider, 3, stride, 1), *([nn.BatchNorm2d(wider)] if norm else []), nn.ReLU(inplace=True)]
        width = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)), torch.randn(16, 3, 16, 16)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "mlp": lambda: mlp(False),
    "mlp-bn": lambda: mlp(True),
    "cnn": lambda: cnn(False),
    "cnn-bn": lambda: cnn(True),
}

#: Where the time of a step is looked for: module, class or "", function, and what it is called here.
STAGES = [
    ("bnprobe.observe.signals.forward_hook", "ForwardTaps", "_hook", "forward hook"),
    ("bnprobe.observe.signals.forward_hook", "ForwardTaps", "_measure", "forward hook: records of a signal"),
    ("bnprobe.observe.signals.forward_hook", "ForwardTaps", "_observe_input", "forward hook: input"),
    ("bnprobe.observe.signals.forward_hook", "ForwardTaps", "end_micro_step", "end of a backward"),
    ("bnprobe.observe.signals.forward_hook", "ForwardTaps", "take", "taps of the step"),
    ("bnprobe.observe.signals.forward_hook", "", "moments", "reading"),
    ("bnprobe.observe.signals.forward_hook", "", "batch_statistics", "batch statistics"),
    ("torch", "Tensor", "register_hook", "Tensor.register_hook"),
    ("bnprobe.observe.recording.training_events", "TrainingEvents", "on_backward", "before a backward"),
    ("bnprobe.observe.recording.training_events", "TrainingEvents", "before_backward", "before a backward"),
    ("bnprobe.observe.recording.training_events", "TrainingEvents", "after_backward", "after a backward"),
    ("bnprobe.observe.recording.training_events", "TrainingEvents", "before_update", "before an update"),
    ("bnprobe.observe.recording.training_events", "TrainingEvents", "after_update", "after an update"),
    ("bnprobe.observe.instruments.update_meter", "UpdateMeter", "before", "norms before the update"),
    ("bnprobe.observe.instruments.update_meter", "UpdateMeter", "after", "norms after the update"),
    ("bnprobe.observe.instruments.stale_gradients", "StaleGradients", "before_backward", "stale gradients"),
    ("bnprobe.observe.recording.step_keeper", "StepKeeper", "_close_step", "close of a step"),
    ("bnprobe.observe.instruments.panel", "Panel", "close", "close of a step: instruments"),
    ("bnprobe.observe.rows.delivery", "Delivery", "take", "delivery"),
    ("bnprobe.observe.rows.closed_step", "ClosedStep", "__init__", "row: numbers laid together"),
    ("bnprobe.observe.rows.closed_step", "ClosedStep", "arrive", "row: numbers taken in"),
    ("bnprobe.observe.rows.delivery", "", "rows", "rows: made"),
    ("bnprobe.store.writer", "RunWriter", "append_step", "writer: append"),
    ("bnprobe.store.writer", "RunWriter", "burst", "writer: burst"),
]


class Trained:
    """One network, trained bare and recorded in one process."""

    def __init__(self, name: str, folder: Path, *, measured: bool = True) -> None:
        from bnprobe.observe.options import RecordOptions
        from bnprobe.observe.recorder import Recorder

        torch.set_num_threads(1)
        torch.manual_seed(0)
        model, self._inputs = NETWORKS[name]()
        self._target = torch.randint(0, 10, (self._inputs.shape[0],))
        self._model, self._criterion = model, nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        options = RecordOptions(budget=1e9) if measured else RecordOptions(budget=0.0, free_seconds=0.0)
        self._recorder = Recorder(folder / f"{name}.h5", options, {})
        self.recorded()

    def _step(self) -> None:
        self._optimizer.zero_grad()
        self._criterion(self._model(self._inputs), self._target).backward()
        self._optimizer.step()

    def bare(self) -> list[int]:
        """Return the nanoseconds of bare steps."""
        return self._timed(())

    def recorded(self) -> list[int]:
        """Return those of recorded steps, and of putting on disk what has been put off."""
        self._recorder.resume()
        self._step()
        self._recorder.flush()
        elapsed = self._timed((self._recorder.settle, self._recorder.flush))
        self._recorder.pause()
        return elapsed

    def _timed(self, after: tuple[Callable[[], None], ...]) -> list[int]:
        elapsed = []
        for act in (*[self._step] * BLOCK, *after):
            began = clock()
            act()
            elapsed.append(clock() - began)
        return elapsed


class Worker:
    """A process that trains with one checkout."""

    def __init__(self, tree: Path, name: str, *, measured: bool) -> None:
        command = [sys.executable, str(HERE), "--work", name, *(["--unmeasured"] if not measured else [])]
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        where = self._ask("where")
        assert Path(where).is_relative_to(tree), f"{where} is not in {tree}"

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(question, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise SystemExit("a worker has died")
        return answer

    def ask(self, kind: str) -> list[int]:
        """Return the nanoseconds of a block's steps."""
        return [int(part) for part in self._ask(kind).split()]

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate("end\n")


def work(name: str, *, measured: bool) -> None:
    import bnprobe

    with tempfile.TemporaryDirectory() as folder:
        trained = Trained(name, Path(folder), measured=measured)
        for line in sys.stdin:
            question = line.strip()
            if question == "end":
                break
            print(bnprobe.__file__ if question == "where" else " ".join(map(str, getattr(trained, question)())), flush=True)


def a_step(blocks: list[list[int]]) -> float:
    """Return the microseconds of a step: of each place in the blocks the lower decile."""
    return sum(statistics.quantiles(place, n=10)[0] for place in zip(*blocks, strict=True)) / BLOCK / 1e3


def compare(name: str, trees: list[Path], blocks: int, *, measured: bool) -> None:
    workers = [Worker(tree, name, measured=measured) for tree in trees]
    times: list[dict[str, list[list[int]]]] = [defaultdict(list) for _ in trees]
    for index in range(blocks + 1):
        order = list(enumerate(workers))
        for place, worker in order if index % 2 else order[::-1]:
            for kind in ("bare", "recorded") if index % 2 else ("recorded", "bare"):
                elapsed = worker.ask(kind)
                if index:  # the first of each warms up
                    times[place][kind].append(elapsed)
    for worker in workers:
        worker.end()
    bare = a_step([block for one in times for block in one["bare"]])
    parts = [a_step(one["recorded"]) - bare for one in times]
    text = f"{name:8} bare {bare:8.0f} us   recorder {parts[0]:7.0f} us"
    if len(parts) > 1:
        text += f"   before {parts[1]:7.0f} us   ratio {parts[0] / parts[1]:.3f}"
    print(text, flush=True)


def stages(name: str, blocks: int) -> None:
    spent: defaultdict[str, int] = defaultdict(int)
    calls: defaultdict[str, int] = defaultdict(int)
    inner: list[int] = []

    def timed(function: Callable[..., Any], label: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            inner.append(0)
            began = clock()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = clock() - began
                spent[label] += elapsed - inner.pop()
                calls[label] += 1
                if inner:
                    inner[-1] += elapsed

        return run

    for module, owner, function, label in STAGES:
        holder = importlib.import_module(module)
        holder = getattr(holder, owner) if owner else holder
        if hasattr(holder, function):
            setattr(holder, function, timed(getattr(holder, function), label))
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        trained = Trained(name, Path(folder))
        total: list[list[int]] = []
        for _ in range(blocks):
            spent.clear()
            calls.clear()
            trained.bare()
            total.append(trained.recorded())
            rows.append({label: nanoseconds / 1e3 / (BLOCK + 1) for label, nanoseconds in spent.items()})
        bare = a_step([trained.bare() for _ in range(blocks)])
    print(f"{name}: bare {bare:.0f} us, recorded, with the clocks in it, {a_step(total):.0f} us")
    table = {label: statistics.quantiles([row.get(label, 0.0) for row in rows], n=4)[0] for label in rows[-1]}
    for label, microseconds in sorted(table.items(), key=lambda item: -item[1]):
        count = calls[label] / (BLOCK + 1)
        print(f"  {label:36} {microseconds:8.1f} us a step   {count:5.1f} calls   {microseconds / max(count, 1e-9):7.2f} us each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--network", choices=list(NETWORKS), nargs="*", default=list(NETWORKS))
    parser.add_argument("-n", "--blocks", type=int, default=24)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--stages", action="store_true", help="where the time goes")
    parser.add_argument("--unmeasured", action="store_true", help="steps of which nothing is measured")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    measured = not arguments.unmeasured
    if arguments.work:
        work(arguments.work, measured=measured)
        return
    for name in arguments.network:
        if arguments.stages:
            stages(name, arguments.blocks)
        else:
            trees = [HERE.parents[2], *([arguments.against.resolve()] if arguments.against else [])]
            compare(name, trees, arguments.blocks, measured=measured)


if __name__ == "__main__":
    main()
