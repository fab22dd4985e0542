"""Whether a step costs the same at step 100 and at step 100,000, and how a run file grows.

python tests/benchmarks/long_run.py                  # 100,000 steps of a small network, every one measured
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.store.reader import read_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    inputs, target = torch.randn(16, 16), torch.randint(0, 4, (16,))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.h5"
        recorder = Recorder(path, RecordOptions(budget=1e9), {})
        recorder.install()
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), target).backward()
            optimizer.step()
        recorder.pause()
        recorder.flush()
        run = read_run(path)
        size = path.stat().st_size
    cost = run["observer_seconds"] * 1e3
    print(f"{'steps':>20} {'median ms':>10} {'mean ms':>9}   (what the recorder took of a step)")
    edges = [edge for edge in (100, 1_000, 10_000, 90_000, 100_000) if edge <= run.steps]
    for begin, end in pairwise(edges):
        window = cost[begin:end]
        print(f"{begin:>9} - {end:>8} {np.median(window):10.4f} {np.mean(window):9.4f}")
    print(f"file: {size} bytes, {size / run.steps:.0f} a step, for {len(run.layers)} layers and {len(run.parameters)} parameters")


if __name__ == "__main__":
    main()
