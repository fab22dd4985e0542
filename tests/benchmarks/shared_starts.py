"""What lr-limit costs where its trials are forked from a process that has imported torch, and where each imports it.

    python -m tests.benchmarks.shared_starts               # a small training, both ways in turn
    python -m tests.benchmarks.shared_starts --rounds 3

It prints processor time and time of both, their ratios, and whether the trials of both have the same losses and verdicts.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from bnprobe import start
from bnprobe.store.limits_file import read_limits

SCRIPT = """
{before}
import torch

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(40):
    x = torch.randn(64, 20)
    loss = (model(x) - x[:, :1].sin()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
#: A script that changes a variable has its trials begin by themselves.
BY_ITSELF = "import os; os.environ['ANY'] = '1'"


def measured(folder: Path, before: str) -> tuple[float, float, list[tuple[object, ...]]]:
    """Processor seconds, seconds, and what became of each trial."""
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT.format(before=before))
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [*start.command("bnprobe.cli"), "lr-limit", "--remedy", "none", "--seeds", "1", "--steps", "40", "--jobs", "1"]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([*command, "-o", "limits.h5", "train.py"], cwd=folder, env=environment, check=True, capture_output=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    trials = [(one.grid_index, one.outcome, one.peak_rate, one.loss.tolist()) for one in read_limits(folder / "limits.h5").trials]
    return after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, ended - began, trials


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        for number in range(given.rounds):
            own = measured(Path(folder, f"own-{number}"), BY_ITSELF)
            forked = measured(Path(folder, f"forked-{number}"), "")
            print(
                f"{len(own[2])} trials: {own[0]:.1f} s of a processor by themselves, {forked[0]:.1f} s forked: {forked[0] / own[0]:.2f};",
                end=" ",
            )
            print(f"{own[1]:.1f} s and {forked[1]:.1f} s: {forked[1] / own[1]:.2f}; the same: {own[2] == forked[2]}", flush=True)


if __name__ == "__main__":
    main()
