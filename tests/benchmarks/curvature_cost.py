"""What a curvature probe costs, as a multiple of a bare step of the same run.

    python tests/benchmarks/curvature_cost.py                 # all workloads, with SGD as they are
    python tests/benchmarks/curvature_cost.py -w c -n 40
    python tests/benchmarks/curvature_cost.py --adam          # AdamW instead

Layers are not measured; every fourth step is probed, and the steps between are bare. A product is one more backward through the graph of
the gradient: the column "a product" divides the cost of a later probe, the gradient's graph included, by its products.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from workloads import WORKLOADS

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.store.reader import Run, read_run

STRIDE = 4


@dataclass(frozen=True)
class Ending:
    status: str = "finished"
    detail: str = ""
    exit_status: int = 0


def adamw(parameters: object, lr: float, **settings: object) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-4)  # type: ignore[arg-type]


def record(name: str, probes: int, adam: bool) -> Run:
    """Run one workload under a recorder that probes and does nothing else."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        recorder = Recorder(path, RecordOptions(every=10**9, curvature=STRIDE, curvature_kernels="math"), {})
        recorder.install()
        with mock.patch.object(torch.optim, "SGD", adamw) if adam else mock.patch("torch.manual_seed"):
            workload = WORKLOADS[name]()
        for _ in range(STRIDE * probes + 1):
            workload.step()
        recorder.finish(Ending())
        return read_run(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workload", action="append", choices=sorted(WORKLOADS))
    parser.add_argument("-n", "--probes", type=int, default=8)
    parser.add_argument("--adam", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    columns = ("workload", "bare step, ms", "first probe, steps (products)", "later probe", "a product, steps", "residual / sharpness")
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|")
    for name in arguments.workload or sorted(WORKLOADS):
        run = record(name, arguments.probes, arguments.adam)
        seconds, products, probed = run["curvature_seconds"], run["curvature_products"], run["curvature"]
        bare = np.delete(run["step_seconds"] - run["observer_seconds"], probed)[2:]
        step = float(np.median(bare))
        later, count = float(np.median(seconds[1:])) / step, int(products[1:].max())
        own = run["curvature_preconditioned_residual"] / run["curvature_preconditioned"]
        described = (WORKLOADS[name].__doc__ or name).rstrip(".")
        print(
            f"| {described} | {step * 1e3:.1f} | {seconds[0] / step:.1f} ({products[0]}) | {later:.1f} ({count}) | {later / count:.1f} "
            f"| {float(np.nanmedian(own[1:])):.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
