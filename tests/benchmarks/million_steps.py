"""A long run of many layers through the real writer, thinned as it grows: memory, cost of a step, size of the file, seconds to open it.

    python tests/benchmarks/million_steps.py                                # 20,000 steps of 300 layers, every 10th measured
    python tests/benchmarks/million_steps.py --steps 1000000                # the full size: ten minutes
    python tests/benchmarks/million_steps.py --keep 0 --steps 2000          # nothing thinned, to compare

No network is trained: rows of random numbers are handed to ``RunWriter`` as the recorder hands them over, one a step. Times are processor
time; opening a file is that of the whole command in a process of its own, imports included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bnprobe.store.schema import VARIABLES
from bnprobe.store.writer import RunWriter

CHANNELS = 16
COMMANDS = ("inspect", "diagnose", "report")
HEADING = ("steps", "resident MiB", "us a step", "of it thinning", "file MiB", *(f"{name} s" for name in COMMANDS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--layers", type=int, default=300)
    parser.add_argument("--every", type=int, default=10, help="every n-th step is measured")
    parser.add_argument("--keep", type=int, default=500, help="0 thins nothing")
    arguments = parser.parse_args()
    print(f"{arguments.layers} layers, every {arguments.every}th step measured, --keep {arguments.keep or 'everything'}")
    print("".join(f"{word:>15}" for word in HEADING))
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder) / "run.h5", arguments.steps, arguments.layers, arguments.every, arguments.keep or None)


def record(path: Path, steps: int, layers: int, every: int, keep: int | None) -> None:
    """Write a run and print a line at each quarter of it."""
    writer = Watched(path, {}, keep=keep)
    for index in range(layers):
        writer.add_layer(channels=CHANNELS, layer=f"blocks.{index}", layer_type="Linear", layer_kind="linear", layer_role="output")
        writer.add_parameter(parameter=f"blocks.{index}.weight", parameter_layer=f"blocks.{index}", parameter_size=256, parameter_group=0)
    writer.add_group("SGD[0]")
    wide = [variable for variable in VARIABLES.values() if variable.dims in {("step", "layer"), ("step", "parameter")}]
    rng = np.random.default_rng(0)
    numbers = {
        variable.name: rng.random((8, layers)) for variable in wide if variable.dtype.startswith("f") and "nonfinite" not in variable.name
    }
    began, thinning, told = time.process_time(), 0.0, 0
    for step in range(steps):
        writer.append_step(row(step, numbers, step % every == 0, rng))
        if step % 1000 == 0:
            writer.append_snapshot({"snapshot": step, "channel_mean": rng.random(layers * CHANNELS)})
        writer.burst_if_due()
        if (step + 1) % max(steps // 4, 1) == 0:
            writer.burst()
            spent = time.process_time() - began
            count = step + 1 - told
            print_line(step + 1, spent / count, (writer.thinning - thinning) / count, path)
            began, thinning, told = time.process_time(), writer.thinning, step + 1
    writer.close(status="finished")


class Watched(RunWriter):
    """The writer, and what thinning has taken of its time."""

    thinning = 0.0

    def _thin(self) -> None:
        began = time.process_time()
        super()._thin()
        self.thinning += time.process_time() - began


def row(step: int, numbers: dict[str, np.ndarray], is_measured: bool, rng: np.random.Generator) -> dict[str, Any]:
    """Return a step as the recorder hands it over."""
    loss = 2.0 / (1.0 + step / 1000) + 0.05 * float(rng.standard_normal())
    scalars = {"step": step, "loss": loss, "wall_time": 0.1 * step, "step_seconds": 0.1, "observer_seconds": 0.002, "batch_size": 32.0}
    bare = {**scalars, "gradient_norm": 1.0, "micro_steps": 1, "learning_rate": np.array([0.1]), "layers_observed": int(is_measured)}
    return {**bare, **{name: values[step % 8] for name, values in numbers.items()}} if is_measured else bare


def print_line(steps: int, seconds: float, thinning: float, path: Path) -> None:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    opened = [seconds_to(name, path) for name in COMMANDS]
    values = (f"{steps:,}", f"{resident:.0f}", f"{1e6 * seconds:.0f}", f"{1e6 * thinning:.0f}", f"{path.stat().st_size / 2**20:.0f}")
    print("".join(f"{value:>15}" for value in (*values, *(f"{value:.1f}" for value in opened))), flush=True)


def seconds_to(command: str, path: Path) -> float:
    options = ["-o", str(path.with_suffix(".html"))] if command == "report" else []
    began = _spent_by_children()
    done = subprocess.run([sys.executable, "-m", "bnprobe", command, str(path), *options], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return _spent_by_children() - began


def _spent_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
