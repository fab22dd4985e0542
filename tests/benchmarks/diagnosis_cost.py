"""How the time of a diagnosis grows with the layers of a network.

    python -m tests.benchmarks.diagnosis_cost                # 500, 1,000 and 2,000 layers
    python -m tests.benchmarks.diagnosis_cost 500 4000

Processor time, the best of three; linear is a ratio equal to that of the layers.
"""

from __future__ import annotations

import sys
import time

from bnprobe.diagnose import diagnose
from tests.synthetic_runs import deep_recording


def seconds(layers: int) -> float:
    """Processor time of one diagnosis, the best of three."""
    run, took = deep_recording(layers).run(), []
    for _ in range(3):
        started = time.process_time()
        diagnose(run)
        took.append(time.process_time() - started)
    return min(took)


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [500, 1000, 2000]
    diagnose(deep_recording(50).run())
    first = None
    for layers in sizes:
        took = seconds(layers)
        first = first or took
        print(f"{layers:>6} layers  {took:6.2f} s  {took / first:5.2f} times, of {layers / sizes[0]:.2f} times the layers")


if __name__ == "__main__":
    main()
