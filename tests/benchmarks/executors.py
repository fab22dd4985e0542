"""How long 24 trials take on two workers beside one: `python -m tests.benchmarks.executors --executor slurm|ray|local`.

Each trial trains a small network on one thread. One worker and two are timed in turn, `--rounds` times; the ratio of each pair is printed.
Ray is given a cluster of two nodes with a processor each, SLURM is submitit's local mode: the workers are cores of this machine, so that
the figure tells what the executor costs, and needs a machine that does little else. ``--waiting`` has the trials wait in place of
computing: then the cores do not matter, and what is left is the executor alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bnprobe.experiments.executors.slurm import CLUSTER
from tests.experiments.executors.nodes import two_nodes

ROOT = Path(__file__).parents[2]
TRAINS = """
import torch

torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(300):
    loss = torch.nn.functional.cross_entropy(model(torch.randn(128, 256)), torch.randint(10, (128,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("number")
"""
WAITS = "import time; time.sleep(10); print('number')"


def main() -> None:
    """Time both, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executor", choices=["local", "ray", "slurm"], default="local")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--waiting", action="store_true")
    given = parser.parse_args()
    with _cluster(given.executor) as environment, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "trial.py").write_text(WAITS if given.waiting else TRAINS)
        for _ in range(given.rounds):
            one, two = (_seconds(given.executor, jobs, given.count, Path(folder), environment) for jobs in (1, 2))
            print(f"{given.executor}: {given.count} trials in {one:.1f} s on one worker, {two:.1f} s on two: {two / one:.2f}", flush=True)


@contextlib.contextmanager
def _cluster(executor: str) -> Iterator[dict[str, str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", CLUSTER: "local"}
    if executor != "ray":
        yield environment
        return
    with two_nodes() as address:
        yield {**environment, "RAY_ADDRESS": address}


def _seconds(executor: str, jobs: int, count: int, folder: Path, environment: dict[str, str]) -> float:
    results = folder / "results.jsonl"
    results.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.experiments.executors.numbered", "--executor", executor, "--jobs", str(jobs)]
    began = time.monotonic()
    subprocess.run([*command, "--count", str(count), results.name, "trial.py"], cwd=folder, env=environment, check=True)
    made = results.read_text().splitlines()
    if len(made) != count or not all('"status": 0' in line for line in made):
        raise SystemExit(f"not every trial succeeded:\n{results.read_text()}")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
