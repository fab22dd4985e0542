"""How far from its limits every recording of the tuned fault library is: by how much limits could be stricter, or have to be relaxed.

    python -m tests.benchmarks.margins                    # records once; judges the same files anew the next time

Each cause is asked with all its limits moved together, by a share of the way between what they are and where one healthy training in ten
is (`bnprobe.diagnose.thresholds.Limit`): at a share of zero as they stand, below zero stricter, at one relaxed altogether. Of a program
with the fault, the smallest share at which its cause is named says how much room there is; of a healthy run, the smallest at which any
is.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.verdict import CAUSES
from bnprobe.errors import RunFileError
from bnprobe.store.reader import Run, read_run
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY
from tests.faults.recording import KEPT, library, recorded
from tests.observe.program_server import ProgramServer

#: Shares of the way that are tried, from strict to relaxed.
SHARES = tuple(eighth / 8 for eighth in range(-8, 9))
#: Beyond the last.
NEVER = float("inf")


def named_at(run: Run, cause: str) -> float:
    """The smallest share at which a cause is named, infinite where none suffices."""
    case = RunAnalysis(run)
    return next((share for share in SHARES if CAUSES[cause](case.relaxed(share)) is not None), NEVER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    options = parser.parse_args()
    takes = library(program for program in PROGRAMS if program.part == "tuned")
    faulty: dict[str, list[tuple[float, str]]] = defaultdict(list)
    healthy: dict[str, list[tuple[float, str]]] = defaultdict(list)
    server = ProgramServer()
    for take in takes:
        try:
            run = read_run(recorded(server, take, options.recordings).file)
        except RunFileError:
            continue
        for cause in CAUSES if take.expected == HEALTHY else (take.expected,):
            shares = healthy if take.expected == HEALTHY else faulty
            shares[cause].append((named_at(run, cause), take.program.name + (" --fixed" if take.fixed else "")))
    server.close()
    print(f"{'':<28}{'with':>7}  {'named at share':^24}  {'healthy runs named at share':^40}")
    strict, relaxed = (-0.5, -0.25, 0.0), (0.0, 0.25, 0.5, 0.75, 1.0)
    heads = ["".join(f"{share:>8g}" for share in shares) for shares in (strict, relaxed)]
    print(f"{'cause':<28}{'fault':>7}  {heads[0]}  {heads[1]}  the nearest sound run that is not named")
    for cause in CAUSES:
        within = "".join(f"{sum(share <= limit for share, _ in faulty[cause]):>8}" for limit in strict)
        near = "".join(f"{sum(share <= limit for share, _ in healthy[cause]):>8}" for limit in relaxed)
        nearest = min(((share, name) for share, name in healthy[cause] if 0 < share < NEVER), default=None)
        said = f"{nearest[0]:g} {nearest[1]}" if nearest else "none"
        print(f"{cause:<28}{len(faulty[cause]):>7}  {within}  {near}  {said}")
    print(f"\n{sum(map(len, faulty.values()))} runs with a fault, {len(healthy['dead-units'])} sound ones")


if __name__ == "__main__":
    main()
