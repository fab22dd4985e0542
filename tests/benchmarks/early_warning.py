"""How many steps before a divergence the recorder warns while a training runs, and how often it warns of a healthy one.

    python -m tests.benchmarks.early_warning                    # the runs of the fault library that are kept
    python -m tests.benchmarks.early_warning --record           # records what is missing first
    python -m tests.benchmarks.early_warning --details          # a line a run

The losses and gradient norms of kept recordings are put through the recorder's own alarms, step by step. A warning is a value far beyond
the noise, or one that is no number, before the training has diverged; a look is a value beyond the noise, for which steps are measured. Of
the runs that diverged those stand apart whose loss was no number from one step to the next, in a calm run: nothing foretells these. Beside
the alarms stands Page's CUSUM on the loss, upwards, with the parameters of trainscope 1.8 (mean and deviation from median and MAD of the
last 200 losses, slack 1, threshold 6, after 30 losses), on the same losses.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnprobe.analyse.stability import divergence
from bnprobe.errors import RunFileError
from bnprobe.observe.schedule.alarm import GRADIENT_LEAP, Alarm, Level
from bnprobe.store.reader import Run, read_run
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY
from tests.faults.recording import KEPT, NO_LIMIT, Take, kept, library, record_missing
from tests.faults.score import Share

#: Of trainscope's detector.
WINDOW, SLACK, THRESHOLD, FIRST = 200, 1.0, 6.0, 30
#: What a warning is worth something for.
STEPS_AHEAD = (1, 3, 10)


@dataclass(frozen=True)
class Watched:
    """One run, and the step of the first sign that each detector gave before the training diverged, if it did.

    Attributes:
        name: of the take.
        end: the step of the divergence; None where there was none.
        first: by detector, the step; None where it gave none.
    """

    name: str
    end: int | None
    first: dict[str, int | None]


def by_alarms(level: Level) -> Callable[[Sequence[float], Sequence[float]], int | None]:
    """A detector: the recorder's alarms on loss and gradient norm, at some level."""

    def find(losses: Sequence[float], norms: Sequence[float]) -> int | None:
        of_loss, of_gradient = Alarm(), Alarm(GRADIENT_LEAP)
        for row, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            found = of_loss.take(loss)
            if not math.isnan(norm):
                found = max(found, of_gradient.take(norm))
            if found >= level:
                return row
        return None

    return find


def by_cusum(losses: Sequence[float], norms: Sequence[float]) -> int | None:
    """Page's sum of what rises above the median, in deviations, less the slack."""
    del norms
    before: deque[float] = deque(maxlen=WINDOW)
    total = 0.0
    for row, loss in enumerate(losses):
        if len(before) >= FIRST:
            middle = statistics.median(before)
            deviation = max(1.4826 * statistics.median(abs(one - middle) for one in before), 1e-12)
            total = max(0.0, total + (loss - middle) / deviation - SLACK) if math.isfinite(loss) else math.inf
            if total >= THRESHOLD:
                return row
        if math.isfinite(loss):
            before.append(loss)
    return None


DETECTORS = {"warning": by_alarms(Level.GRAVE), "look": by_alarms(Level.BEYOND_NOISE), "CUSUM": by_cusum}


def watch(name: str, run: Run) -> Watched:
    """Put a run through the detectors, up to its divergence."""
    lost = divergence(run)
    steps = run["step"]
    last = len(steps) if lost is None else lost.row
    losses = [float(loss) for loss in run["loss"][:last]]
    norms = [float(norm) for norm in run["gradient_norm"][:last]]
    rows = {detector: find(losses, norms) for detector, find in DETECTORS.items()}
    return Watched(
        name, None if lost is None else int(lost.step), {one: None if row is None else int(steps[row]) for one, row in rows.items()}
    )


def summary(what: str, lost: Sequence[Watched]) -> str:
    """A line a detector: how many steps ahead it was."""
    lines = [f"{len(lost)} {what}"]
    for detector in DETECTORS:
        ahead = [one.end - first for one in lost if one.end is not None and (first := one.first[detector]) is not None]
        shares = "; ".join(f"{steps} {Share(sum(one >= steps for one in ahead), len(lost))}" for steps in STEPS_AHEAD)
        middle = "/".join(f"{one:.0f}" for one in np.percentile(ahead, [25, 50, 75])) if ahead else "none"
        lines.append(f"  {detector:<8} so many steps ahead or more: {shares}; quartiles where it came {middle}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="record what is missing first, with everything measured")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="programs side by side (default: %(default)s)")
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    parser.add_argument("--details", action="store_true", help="a line a run")
    options = parser.parse_args()
    takes = library(program for program in PROGRAMS if program.part == "tuned")
    if options.record:
        record_missing(takes, options.jobs, options.recordings)
    lost, sudden, healthy = list[Watched](), list[Watched](), list[Watched]()
    for take in takes:
        if (watched := _watched(take, options.recordings)) is None:
            continue
        if watched.end is not None:
            (sudden if take.program.cause == "numerical-fault" else lost).append(watched)
        elif take.expected == HEALTHY:
            healthy.append(watched)
        if options.details:
            print(f"{take.name:<70} diverged {watched.end}, first signs {watched.first}")
    print(summary("runs that grew until they diverged", lost))
    print(summary("runs with a value that is no number out of nothing", sudden))
    print(f"{len(healthy)} healthy runs")
    for detector in DETECTORS:
        print(f"  {detector:<8} {Share(sum(one.first[detector] is not None for one in healthy), len(healthy))} told something")
    return 0


def _watched(take: Take, folder: Path) -> Watched | None:
    """Watch a take, from whichever recording of it is kept."""
    for budget in (NO_LIMIT, 0.05):
        found = kept(Take(take.program, take.fixed, take.seed, budget=budget), folder, stale=True)
        if found is not None:
            try:
                return watch(take.name, read_run(found.file))
            except (RunFileError, KeyError):
                continue
    return None


if __name__ == "__main__":
    sys.exit(main())
