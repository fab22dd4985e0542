"""What a remedy costs: steps without and with it in turn, in one process, as the median ratio of pairs in processor time.

    python tests/benchmarks/remedy_cost.py                      # all remedies
    python tests/benchmarks/remedy_cost.py -r msr -r agc -n 60
    python tests/benchmarks/remedy_cost.py --optimizer Adam

The network is the deep residual one of sample_runs (16x16 images, batch 128); `no-norm` is compared with the same network with batch norm.
Most of a remedy's work grows with the weights and a step's with the activations, so larger images and batches cost relatively less.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from bnprobe.remedies import apply
from bnprobe.remedies.catalogue import names

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_runs"))

from residual_network import ResidualNetwork


def training(remedy: str | None, batch_norm: bool, depth: int, optimizer_name: str) -> Callable[[], float]:
    """Return a function that makes one step and gives its seconds."""
    torch.manual_seed(0)
    model = ResidualNetwork(depth, batch_norm)
    if remedy:
        apply(remedy, model)
    optimizer = getattr(torch.optim, optimizer_name)(model.parameters(), lr=1e-4)
    images, labels = torch.randn(128, 1, 16, 16), torch.randint(10, (128,))

    def step() -> float:
        began = time.thread_time()
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        return time.thread_time() - began

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-r", "--remedy", action="append")
    parser.add_argument("-n", "--pairs", type=int, default=30)
    parser.add_argument("--depth", type=int, default=26)
    parser.add_argument("--optimizer", default="SGD")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| remedy | step, ms | ratio | quartiles |\n|---|---|---|---|")
    for remedy in arguments.remedy or names():
        batch_norm = remedy.startswith("no-norm")
        bare = training(None, batch_norm, arguments.depth, arguments.optimizer)
        treated = training(remedy, batch_norm, arguments.depth, arguments.optimizer)
        for step in (bare, treated):
            step()
        ratios, seconds = [], []
        for index in range(arguments.pairs):
            times = {step: step() for step in ((bare, treated) if index % 2 else (treated, bare))}
            ratios.append(times[treated] / times[bare])
            seconds.append(times[treated])
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"| {remedy} | {statistics.median(seconds) * 1e3:.0f} | {middle:.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    main()
