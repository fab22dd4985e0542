"""How many steps before a divergence a person is warned while a training runs, and how often of a healthy one.

    python -m tests.benchmarks.early_warning                    # the runs of the fault library that are kept
    python -m tests.benchmarks.early_warning --record           # records what is missing first
    python -m tests.benchmarks.early_warning --details          # a line a run
    python -m tests.benchmarks.early_warning --record --sample 30   # 30 programs whose fault may diverge, and 30 without, of both parts

- **watch**: what `bnprobe watch` and `--follow` show, findings at warning or error level. The recording is cut to its first steps, as the
  file stood then, and diagnosed: after each of the first ten steps, every second to 30, every fifth to 100, then every tenth.
- **terminal**: a loss or gradient norm far beyond its noise, or no number, as `bnprobe record` says at once. **look**: a value beyond the
  noise, for which steps are measured.
- **CUSUM**: Page's cumulative sum of the loss, upwards (`tests/faults/cusum.py`): in its textbook form; with the threshold at which it
  warns of as many healthy runs as watch does; and as trainscope 1.8 has it.

Of the runs that diverged those stand apart whose cause is a value that is no number from one step to the next, in a calm run. A run that
diverges in its first step can be warned of by nothing.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnprobe.analyse.stability import divergence
from bnprobe.diagnose import Finding, diagnose
from bnprobe.errors import RunFileError
from bnprobe.observe.schedule.alarm import GRADIENT_LEAP, Alarm, Level
from bnprobe.report.live_view import told
from bnprobe.store.reader import Run, read_run
from tests.faults import cusum
from tests.faults.manifest import PROGRAMS
from tests.faults.prefix import bursts, prefix
from tests.faults.program import HEALTHY
from tests.faults.recording import KEPT, NO_LIMIT, Take, kept, library, record_missing
from tests.faults.score import Share

#: Causes of which at least some programs diverge by growing.
GROWING = (
    "learning-rate-too-high",
    "exploding-activations",
    "exploding-gradients",
    "mean-shift",
    "unscaled-input",
    "unscaled-targets",
    "missing-zero-grad",
    "half-precision-overflow",
    "probabilities-for-logarithms",
    "targets-out-of-range",
)
#: What a warning is worth something for.
STEPS_AHEAD = (1, 3, 10)
EQUAL = "CUSUM, as many false alarms as watch"


@dataclass(frozen=True)
class Watched:
    """One run, and the step of the first sign that each detector gave before the training diverged, if it did.

    Attributes:
        name: of the take.
        cause: the id that the verdict should have.
        end: the step of the divergence; None where there was none.
        first: by detector, the step; None where it gave none.
        said: the first finding that watch showed, or None.
        steps: of each row before the end.
        sums: of the textbook's CUSUM, a row each.
    """

    name: str
    cause: str
    end: int | None
    first: dict[str, int | None]
    said: Finding | None
    steps: Sequence[int]
    sums: Sequence[float]

    def ahead(self, detector: str) -> int | None:
        """Steps between a detector's first sign and the divergence."""
        first = self.first[detector]
        return None if self.end is None or first is None else self.end - first


def first_finding(run: Run, rows: int) -> tuple[int, Finding] | None:
    """The row before which watch shows its first finding, and that finding."""
    for count in bursts(rows):
        if found := told(diagnose(prefix(run, count))):
            return count - 1, found[0]
    return None


def first_alarm(level: Level, losses: Sequence[float], norms: Sequence[float]) -> int | None:
    """The first row at which the recorder's alarms on loss and gradient norm reach a level."""
    of_loss, of_gradient = Alarm(), Alarm(GRADIENT_LEAP)
    for row, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
        found = of_loss.take(loss)
        if not math.isnan(norm):
            found = max(found, of_gradient.take(norm))
        if found >= level:
            return row
    return None


def watch(take: Take, run: Run) -> Watched:
    """Put a run through the detectors, up to its divergence."""
    lost = divergence(run)
    last = len(run["step"]) if lost is None else lost.row
    steps = [int(step) for step in run["step"][:last]]
    losses = [float(loss) for loss in run["loss"][:last]]
    norms = [float(norm) for norm in run["gradient_norm"][:last]]
    found = first_finding(run, last)
    sums = cusum.textbook(losses)
    rows = {
        "watch": None if found is None else found[0],
        "terminal": first_alarm(Level.GRAVE, losses, norms),
        "look": first_alarm(Level.BEYOND_NOISE, losses, norms),
        "CUSUM, textbook": cusum.first_at(sums, cusum.THRESHOLD),
        "CUSUM, trainscope": cusum.first_at(cusum.of_trainscope(losses), cusum.THEIR_THRESHOLD),
    }
    rows["watch or terminal"] = min((row for name in ("watch", "terminal") if (row := rows[name]) is not None), default=None)
    first = {detector: None if row is None else steps[row] for detector, row in rows.items()}
    said = None if found is None else found[1]
    return Watched(take.name, take.expected, None if lost is None else int(lost.step), first, said, steps, sums)


def add_equal(runs: Sequence[Watched]) -> float:
    """Give each run the first sign of the textbook's CUSUM at the threshold that warns of as many healthy runs as watch, and return it."""
    healthy = [one for one in runs if one.end is None and one.cause == HEALTHY]
    alarms = sum(one.first["watch"] is not None for one in healthy)
    threshold = cusum.threshold_for(alarms, [max(one.sums, default=0.0) for one in healthy])
    for one in runs:
        row = cusum.first_at(one.sums, threshold)
        one.first[EQUAL] = None if row is None else one.steps[row]
    return threshold


def table(lost: Sequence[Watched], healthy: Sequence[Watched]) -> str:
    """A line a detector: how many steps ahead it was, and how often it warned of a healthy run."""
    lines = []
    for detector in lost[0].first if lost else ():
        ahead = [steps for one in lost if (steps := one.ahead(detector)) is not None]
        shares = "; ".join(f"{steps}: {Share(sum(one >= steps for one in ahead), len(lost))}" for steps in STEPS_AHEAD)
        middle = "/".join(f"{one:.0f}" for one in np.percentile(ahead, [25, 50, 75])) if ahead else "none"
        false = Share(sum(one.first[detector] is not None for one in healthy), len(healthy))
        lines.append(f"  {detector:<36} steps ahead or more {shares}; quartiles {middle}; of healthy runs {false}")
    return "\n".join(lines)


def sample(count: int) -> list[Take]:
    """The same takes each time: of both parts of the library, with a fault that may diverge, and without a fault."""
    takes = library(PROGRAMS)
    faulty = [take for take in takes if not take.fixed and take.program.cause in GROWING]
    healthy = [take for take in takes if take.expected == HEALTHY]
    for one in (faulty, healthy):
        random.Random(0).shuffle(one)  # a smaller sample is the beginning of a larger one
    return faulty[:count] + healthy[:count]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="record what is missing first, with everything measured")
    parser.add_argument("--sample", type=int, metavar="N", help="N programs with a fault that may diverge, and N without one, at random")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="programs side by side (default: %(default)s)")
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    parser.add_argument("--details", action="store_true", help="a line a run")
    options = parser.parse_args()
    if options.sample:
        takes = sample(options.sample)
    else:
        takes = library(program for program in PROGRAMS if program.part == "tuned")
    if options.record:
        record_missing(takes, options.jobs, options.recordings)
    runs = [watched for take in takes if (watched := _watched(take, options.recordings)) is not None]
    threshold = add_equal(runs)
    if options.details:
        for one in runs:
            said = "" if one.said is None else f"{one.said.severity} {one.said.id}"
            print(f"{one.name:<70} diverged {one.end}, first signs {one.first}, watch said {said}")
    lost = [one for one in runs if one.end is not None and one.cause not in (HEALTHY, "numerical-fault")]
    sudden = [one for one in runs if one.end is not None and one.cause == "numerical-fault"]
    healthy = [one for one in runs if one.end is None and one.cause == HEALTHY]
    print(f"{len(runs)} runs, {len(healthy)} of them healthy; {threshold:.3g} is the threshold of {EQUAL!r}")
    print(f"{len(lost)} runs that diverged, {sum(not one.steps for one in lost)} of them in the first step")
    print(table(lost, healthy))
    warned = [one for one in lost if one.said is not None]
    print(f"  of those that watch warned of, its first finding was the cause in {_named(warned)}")
    print(f"{len(sudden)} runs with a value that is no number out of nothing")
    print(table(sudden, healthy))
    return 0


def _named(warned: Sequence[Watched]) -> Share:
    return Share(sum(one.said is not None and one.said.id == one.cause for one in warned), len(warned))


def _watched(take: Take, folder: Path) -> Watched | None:
    """Watch a take, from whichever recording of it is kept."""
    for budget in (NO_LIMIT, 0.05):
        found = kept(Take(take.program, take.fixed, take.seed, budget=budget), folder, stale=True)
        if found is not None:
            try:
                return watch(take, read_run(found.file))
            except (RunFileError, KeyError):
                continue
    return None


if __name__ == "__main__":
    sys.exit(main())
