"""Kill a writing process with SIGKILL at random times and see what its run file has lost.

    python -m tests.benchmarks.kills [--runs 200] [--seed 0]

The writer is a process of its own that records steps as a training does, finds layers late, and notes in shared memory what it has
handed to ``RunWriter`` and when. Three paces take turns: as fast as it can, 20 steps a second (a burst every 2 s), and a burst after
every step, so that most kills hit the middle of one. After the kill every value of the file is compared with what was handed
over. Demanded: the file opens, all variables agree in length, every value is right, and what is lost is at most 64 steps or at most 2 s
old (and the time of a burst). Anything else sets the exit status.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from bnprobe.errors import RunFileError
from bnprobe.store.journal import find_journal
from bnprobe.store.reader import Run, read_run
from bnprobe.store.writer import BURST_ROWS, BURST_SECONDS
from tests.store.numbered_runs import NumberedRun, wrong_values

PACES = {"fast": 0.0, "slow": 0.05, "always": 0.0}
MOST_STEPS = 100_000
#: A burst takes milliseconds; on a machine that is busy with other things it may wait for its turn.
BURST_ALLOWANCE_SECONDS = 1.0
LATE_LAYER_AT, SNAPSHOT_EVERY = 100, 10


@dataclass
class Death:
    """One killed run.

    Attributes:
        pace: how it wrote.
        handed_over: steps that the writer had been given.
        recorded: steps that the file holds.
        oldest_lost_seconds: how long before the kill the first lost step was handed over.
        faults: what is wrong with the file.
        replayed: whether the kill hit a commit whose journal had to be applied.
        plain: whether the HDF5 library opens the file without our help.
    """

    pace: str
    handed_over: int
    recorded: int
    oldest_lost_seconds: float
    faults: list[str]
    replayed: bool
    plain: bool

    @property
    def lost(self) -> int:
        return self.handed_over - self.recorded


def record_for_ever(path: Path, pace: str, clock: mmap.mmap) -> None:
    """Record until killed. ``clock`` holds the number of steps handed over, then the time of each."""
    run = NumberedRun(path, overwrite=True)
    for step in range(MOST_STEPS):
        if step == LATE_LAYER_AT:
            run.add_layer()
        if step % SNAPSHOT_EVERY == 0:
            run.add_snapshot()
        struct.pack_into("<d", clock, 8 + 8 * step, time.monotonic())
        struct.pack_into("<q", clock, 0, step + 1)
        run.add_steps(1)
        if pace == "always":
            run.writer.burst()
        else:
            run.writer.burst_if_due()
        time.sleep(PACES[pace])
    time.sleep(60)


def kill_one(path: Path, pace: str, delay: float) -> Death:
    """Start a writer, kill it ``delay`` seconds after its first step, and examine what it left."""
    clock = mmap.mmap(-1, 8 + 8 * MOST_STEPS)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(2)
            record_for_ever(path, pace, clock)
        finally:
            os._exit(1)
    while struct.unpack_from("<q", clock, 0)[0] == 0:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise RuntimeError("the writer ended by itself")
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    os.waitpid(pid, 0)
    handed_over = struct.unpack_from("<q", clock, 0)[0]
    times = struct.unpack_from(f"<{handed_over}d", clock, 8)
    clock.close()
    return _examine(path, pace, killed, times)


def _examine(path: Path, pace: str, killed: float, times: tuple[float, ...]) -> Death:
    with path.open("rb") as file:
        replayed = find_journal(file.fileno()) is not None
    try:
        h5py.File(path, "r", locking=False).close()
        plain = True
    except OSError:
        plain = False
    try:
        run = read_run(path)
    except RunFileError as error:
        return Death(pace, len(times), 0, killed - times[0], [str(error)], replayed, plain)
    faults = [*run.problems, *_wrong(run)]
    if run.status != "running":
        faults.append(f"status {run.status}")
    age = killed - times[run.steps] if run.steps < len(times) else 0.0
    death = Death(pace, len(times), run.steps, age, faults, replayed, plain)
    if death.lost > BURST_ROWS and age > BURST_SECONDS + BURST_ALLOWANCE_SECONDS:
        faults.append(f"{death.lost} steps lost, the oldest {age:.2f} s old")
    return death


def _wrong(run: Run) -> Iterator[str]:
    """What in the file is not what the writer was given, for as many steps as there are."""
    lengths = {name: run._length(name) for name in ("step", "snapshot", "layer", "channel", "parameter", "group")}
    if run.steps == 0 and not run.layers:
        return  # killed before the first burst
    expected_layers = 3 if run.steps <= LATE_LAYER_AT else 4
    early = {"layer": 3, "channel": 9, "parameter": 2, "group": 1}
    late = {**early, "layer": 4, "channel": 12}
    widths = {
        "step": [early if step < LATE_LAYER_AT else late for step in range(lengths["step"])],
        "snapshot": [early if SNAPSHOT_EVERY * index < LATE_LAYER_AT else late for index in range(lengths["snapshot"])],
    }
    if lengths["layer"] != expected_layers or lengths["snapshot"] != -(-run.steps // SNAPSHOT_EVERY):
        yield f"{run.steps} steps with {lengths['layer']} layers and {lengths['snapshot']} snapshots"
        return
    yield from (f"{name} holds wrong values" for name in wrong_values(run, lengths, widths))


def kill_many(runs: int, seed: int = 0, longest: float = 1.5) -> list[Death]:
    """Kill ``runs`` writers, at times drawn uniformly."""
    rng = random.Random(seed)
    deaths = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs):
            pace = list(PACES)[number % len(PACES)]
            delay = rng.uniform(0.0, 2 * longest if pace == "slow" else longest)
            deaths.append(kill_one(Path(folder) / f"{number}.h5", pace, delay))
    return deaths


def table(deaths: list[Death]) -> str:
    """The figures, for a person."""
    lines = ["pace     runs  faulty  journal replayed  opens in plain HDF5  steps lost (median, most)  oldest lost, s"]
    for pace in PACES:
        those = [death for death in deaths if death.pace == pace]
        if those:
            lost = [death.lost for death in those]
            lines.append(
                f"{pace:7} {len(those):5d} {sum(bool(death.faults) for death in those):7d} {sum(death.replayed for death in those):17d}"
                f" {sum(death.plain for death in those):20d} {int(np.median(lost)):19d}, {max(lost):3d}"
                f" {max(death.oldest_lost_seconds for death in those):16.2f}"
            )
    return "\n".join(lines)


def main() -> int:
    """Run and print; return 1 if something was lost that should not be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    deaths = kill_many(arguments.runs, arguments.seed)
    print(f"{len(deaths)} writers killed by SIGKILL, seed {arguments.seed}")
    print(table(deaths))
    faulty = [death for death in deaths if death.faults]
    for death in faulty[:20]:
        print(death)
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
