"""At which learning rates each remedy trains a deep residual network without normalisation: real digits, SGD 0.9, 60 steps.

    python tests/benchmarks/remedies.py                                  # the table in docs/remedies.md
    python tests/benchmarks/remedies.py --depth 56 -r none -r msr
    python tests/benchmarks/remedies.py -r none -r msr:gain=he -r msr+clip-norm --rates 0.1 0.3

Every trial ends in one of three ways. It *trains* when the mean loss of its last ten steps is below three quarters of chance, ln 10; it
*diverges* as `bnprobe.divergence` says; everything else is *stuck*.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from bnprobe.divergence import Divergence
from bnprobe.remedies import apply
from bnprobe.remedies.specification import split

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_runs"))

import digits
from residual_network import ResidualNetwork

REMEDIES = ["none", "msr", "msr:scale,branch", "batch-norm", "weight-norm", "clip-norm", "agc", "dropout"]
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
CHANCE = math.log(10)


def trial(remedy: str, rate: float, seed: int, depth: int, steps: int) -> str:
    """Train once and say how it ended: "t", "s" or "d"."""
    torch.manual_seed(seed)
    (images, labels), _ = DATA
    model = ResidualNetwork(depth)
    if remedy != "none":
        apply(split(remedy), model)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    losses: list[float] = []
    watched = Divergence()
    for batch, target in digits.batches(images, labels, 128, steps):
        loss = F.cross_entropy(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if watched.take(len(losses), losses[-1]) is not None:
            return "d"
    return "t" if sum(losses[-10:]) / 10 < 0.75 * CHANCE else "s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-r", "--remedy", action="append", help="one or several joined by +; `none` for none (default: the table's)")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--depth", type=int, default=26)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    began = time.perf_counter()
    print("| remedy | " + " | ".join(f"{rate:g}" for rate in arguments.rates) + " |")
    print("|---" * (len(arguments.rates) + 1) + "|")
    for remedy in arguments.remedy or REMEDIES:
        print(f"| {remedy} |", end="", flush=True)
        for rate in arguments.rates:
            ends = [trial(remedy, rate, seed, arguments.depth, arguments.steps) for seed in range(arguments.seeds)]
            print(f" {''.join(ends)} |", end="", flush=True)
        print(flush=True)
    print(f"\nt trains, s stuck, d diverges; one letter a seed. {time.perf_counter() - began:.0f} s", file=sys.stderr)


DATA = digits.load(side=16)

if __name__ == "__main__":
    main()
