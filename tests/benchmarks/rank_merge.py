"""How far merged ranks are from one process that saw all their samples, and what merging costs.

python tests/benchmarks/rank_merge.py                # two and four gloo processes, three groups of quantities
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bnprobe.ranks import read_trainings, trainings
from tests.ranks.agreement import disagreements

SCRIPT = Path(__file__).parents[1] / "ranks" / "scripts" / "data_parallel.py"
GROUPS = {
    "losses": ("loss",),
    "energies of signals": ("_energy", "_rms"),
    "extremes, zeros": ("_min", "_max", "_zeros", "_nonfinite"),
    "channels": ("channel_",),
    "norms": ("_norm",),
}


def record(folder: Path, ranks: int) -> list[Path]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    command = [sys.executable, *launcher, "-m", "bnprobe", "record", "-q", "-o", f"run{ranks}.h5", "--budget", "1e9", str(SCRIPT)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=600)
    return sorted(folder.glob(f"run{ranks}*.h5"))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        [whole] = read_trainings(record(folder, 1))
        print(f"{'ranks':>5} {'quantities':>22} {'compared':>9} {'furthest apart':>15}")
        for ranks in (2, 4):
            parts = [read_trainings([path])[0] for path in record(folder, ranks)]
            began = time.perf_counter()
            [merged] = trainings(parts)
            seconds = time.perf_counter() - began
            apart = disagreements(merged, whole)
            for group, marks in GROUPS.items():
                own = [value for name, value in apart.items() if any(mark in name for mark in marks)]
                print(f"{ranks:>5} {group:>22} {len(own):>9} {np.max(own):>15.1e}")
            print(f"{ranks:>5} {'all':>22} {len(apart):>9} {max(apart.values()):>15.1e}   merged in {seconds:.2f} s")


if __name__ == "__main__":
    main()
