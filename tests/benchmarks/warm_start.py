"""What a trial costs that imports torch itself, and one that is forked from a process which has it.

    python -m tests.benchmarks.warm_start               # a program of the fault library, seven trials of each kind, in turn
    python -m tests.benchmarks.warm_start --trials 15

It prints the median processor time of each kind, and their ratio; wall time is printed beside it, and is that of a busy machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.process import TrialProcess
from bnprobe.experiments.warm_start import WarmStart
from tests.faults.program import HERE

PROGRAM, STEPS = "missing_zero_grad_mlp", 112


def measured(folder: Path, warm: WarmStart | None) -> tuple[float, float]:
    """Processor seconds and seconds of one trial."""
    order = TrialOrder(Script(str(HERE / "tuned" / f"{PROGRAM}.py"), False, ()), Change(), STEPS, 1, command="confirm", compared=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = TrialProcess(order, folder, warm=warm)
    process.wait()
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    assert process.run_file.exists(), process.last_lines()
    process.clear()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=7, metavar="N")
    options = parser.parse_args()
    warm = WarmStart()
    found: dict[str, list[tuple[float, float]]] = {"by itself": [], "forked": []}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        measured(Path(folder, "first"), warm)  # it imports torch for all
        for number in range(options.trials):
            for kind, start in (("by itself", None), ("forked", warm)):
                found[kind].append(measured(Path(folder, f"{kind}-{number}"), start))
    warm.close()
    medians = {kind: [statistics.median(column) for column in zip(*costs, strict=True)] for kind, costs in found.items()}
    for kind, (processor, wall) in medians.items():
        print(f"{kind:10} {processor:.2f} s of a processor, {wall:.2f} s")
    print(f"ratio of processor time: {medians['forked'][0] / medians['by itself'][0]:.2f}, of {STEPS} steps of {PROGRAM}")


if __name__ == "__main__":
    main()
