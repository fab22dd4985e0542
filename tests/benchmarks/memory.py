"""Extra peak memory of a recorded training: each workload bare and recorded, in processes of their own.

python tests/benchmarks/memory.py            # the four workloads, 30 steps each
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from workloads import WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--child", nargs=2, metavar=("WORKLOAD", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(peak(arguments.child[0], arguments.child[1], arguments.steps))
        return
    print(f"{'workload':10} {'bare MiB':>10} {'recorded MiB':>14} {'extra MiB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name in WORKLOADS:
            bare, recorded = (measured(name, file, arguments.steps) for file in ("-", str(Path(folder) / f"{name}.h5")))
            print(f"{name:10} {bare:10.0f} {recorded:14.0f} {recorded - bare:10.0f}")


def measured(name: str, file: str, steps: int) -> float:
    command = [sys.executable, __file__, "--steps", str(steps), "--child", name, file]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak(name: str, file: str, steps: int) -> float:
    """Train, recorded unless ``file`` is "-", and return the peak resident memory in MiB, imports included."""
    torch.manual_seed(0)
    recorder = None
    if file != "-":
        from bnprobe.observe.options import RecordOptions
        from bnprobe.observe.recorder import Recorder

        recorder = Recorder(Path(file), RecordOptions(budget=1e9), {})
        recorder.install()
    step = WORKLOADS[name]().step
    for _ in range(steps):
        step()
    if recorder is not None:
        recorder.settle()
        recorder.flush()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
