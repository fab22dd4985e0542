"""How far the limit that one recording predicts lies from the one that trials find, for sixteen trainings.

    python -m tests.benchmarks.agreement                                   # the tables in docs/learning_rate_limits.md
    python -m tests.benchmarks.agreement --combination lstm-momentum
    python -m tests.benchmarks.agreement --jobs 2 --folder /tmp/agreement  # goes on where it was interrupted

Each training is recorded once, at a rate at which it trains, with a line probe and a curvature probe at every second step. Of the first
ten steps the smallest limit is the prediction, for all estimates alike: a training has to survive each of its steps, and it is early, at
the weights that faster trainings pass, too, that a recording speaks for them. It is set against an interval of trials, ``bnprobe lr-limit``
with one seed:

    s_div * lr          against the rate at which trials diverge: both mean a loss beyond 1000 times the first, or lost
    s_crit * lr         against the rate at which trials no longer train: a step that raises the loss need not be fatal, but goes before it
    curvature limit     against the rate at which trials no longer train: linear stability ends there, and nothing is said of how it ends

The search of lr-limit closes in on the rate that no longer trains; where such a training is stuck, trials are added until the rate that
diverges lies between two neighbours of the same grid. A ratio is prediction over trials, each at the geometric middle of its interval.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bnprobe.analyse.limits import Interval, Verdict, bracket, search_result, tried
from bnprobe.lrlimit.judge import judge, recording_of
from bnprobe.lrlimit.plan import Range, next_notch
from bnprobe.lrlimit.trial import Assignment, RunningTrial, Script
from bnprobe.store.limits_file import Limits, Trial, factor_of, read_limits, write_limits
from bnprobe.store.reader import Run, read_run

ROOT = Path(__file__).parents[2]
SCRIPT = "tests/benchmarks/agreement_training.py"
#: Steps whose smallest limit is the prediction.
FIRST_STEPS = 10
#: Steps from one probe to the next.
EVERY = 2
#: Trials go up to this many notches above the training's own rate: a factor of 5^6.
HIGHEST = 24
MOST_TRIALS = 20
WITHIN = 2.0


@dataclass(frozen=True)
class Combination:
    """One training.

    Attributes:
        model: of the script, as the other fields.
        optimizer: sgd, momentum or adamw.
        norm: none, batch, pre or post.
        rate: at which it is recorded: it trains.
        remedy: at work in the recording and in the trials.
    """

    model: str
    optimizer: str
    norm: str
    rate: float
    remedy: str = "NONE"

    @property
    def name(self) -> str:
        """Short, and its own."""
        words = [self.model, self.optimizer, *([self.norm] if self.norm != "none" else [])]
        return "-".join([*words, *([self.remedy.partition(":")[0]] if self.remedy != "NONE" else [])])

    def arguments(self, steps: int) -> tuple[str, ...]:
        """What the script is told."""
        told = {"model": self.model, "optimizer": self.optimizer, "norm": self.norm, "learning-rate": self.rate, "steps": steps}
        return tuple(word for option, value in told.items() for word in (f"--{option}", str(value)))


COMBINATIONS = [
    Combination("cnn", "sgd", "none", 0.1),
    Combination("cnn", "momentum", "none", 0.02),
    Combination("cnn", "adamw", "none", 0.002),
    Combination("cnn", "momentum", "batch", 0.05),
    Combination("cnn", "momentum", "none", 0.02, "msr:gain=he"),
    Combination("residual", "sgd", "none", 0.003),
    Combination("residual", "adamw", "none", 0.001),
    Combination("residual", "sgd", "batch", 0.1),
    Combination("residual", "momentum", "none", 0.01, "msr:gain=he"),
    Combination("mlp", "sgd", "none", 0.03),
    Combination("mlp", "adamw", "none", 0.001),
    Combination("mlp", "momentum", "batch", 0.03),
    Combination("transformer", "sgd", "post", 0.05),
    Combination("transformer", "adamw", "pre", 0.001),
    Combination("lstm", "momentum", "none", 0.1),
    Combination("lstm", "adamw", "none", 0.005),
]


class Estimate(NamedTuple):
    """A limit that one step predicts, between ``low`` and ``high``."""

    step: int
    low: float
    high: float

    @property
    def middle(self) -> float:
        """Geometric; infinite where no limit was found, 0 where every step that was looked at was too long."""
        return math.sqrt(self.low * self.high) if math.isfinite(self.high) else math.inf


# -- recordings and trials --------------------------------------------------------------------------------------------


def record(combination: Combination, steps: int, folder: Path) -> Run:
    """Record the training once."""
    file = folder / f"{combination.name}.run.h5"
    if not file.exists():
        options = ["--line-probe", str(EVERY), "--curvature", str(EVERY), "--curvature-kernels", "math"]
        remedy = [] if combination.remedy == "NONE" else ["--remedy", combination.remedy]
        draft = file.with_suffix(".part")
        command = ["record", "-q", "-f", "-o", str(draft), *options, *remedy, SCRIPT, *combination.arguments(steps)]
        _bnprobe(command)
        draft.rename(file)
    return read_run(file)


def search(combination: Combination, steps: int, folder: Path) -> Limits:
    """Search the rate that no longer trains, and then the rate that diverges."""
    file = folder / f"{combination.name}.limits.h5"
    options = ["--remedy", combination.remedy, "--seeds", "1", "--steps", str(steps), "--jobs", "1", "-o", str(file)]
    if not file.exists() or read_limits(file).attributes["status"] != "finished":
        _bnprobe(["lr-limit", *options, SCRIPT, *combination.arguments(steps)])
    limits = read_limits(file)
    limits.attributes.setdefault("search_trials", len(limits.trials))
    while (notch := next_for_divergence(limits, combination.remedy)) is not None:
        limits.trials.append(judge_one(combination, notch, steps, folder))
        write_limits(file, limits.attributes, limits.trials, limits.predictions)
    return limits


def next_for_divergence(limits: Limits, remedy: str) -> int | None:
    """The place to try next when all that counts is whether it diverges."""
    return next_notch(_divergences(limits, remedy), allowed=Range(high=HIGHEST), most_trials=MOST_TRIALS)


def _divergences(limits: Limits, remedy: str) -> dict[int, Verdict]:
    return {notch: "fails" if one.outcome == "diverges" else "trains" for notch, one in tried(limits.trials, remedy, 0).items()}


def judge_one(combination: Combination, notch: int, steps: int, folder: Path) -> Trial:
    """Make one trial more."""
    script = Script(SCRIPT, False, combination.arguments(steps))
    remedies = [] if combination.remedy == "NONE" else [combination.remedy]
    with tempfile.TemporaryDirectory(dir=folder) as own:
        trial = RunningTrial(script, Assignment(combination.remedy, 0, notch), remedies, steps, Path(own) / "trial", 1, probes=False)
        while not trial.is_over():
            time.sleep(0.05)
        return judge(trial, recording_of(trial))


def _bnprobe(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "bnprobe", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bnprobe {' '.join(arguments)}\n{done.stderr[-2000:]}")


# -- what they say ----------------------------------------------------------------------------------------------------


def estimates(run: Run) -> dict[str, list[Estimate]]:
    """What each step predicts."""
    found: dict[str, list[Estimate]] = {"s_div": [], "s_crit": [], "curvature": []}
    for i, (step, variant, rate) in enumerate(zip(run["probe_step"], run["probe_variant"], run["probe_learning_rate"], strict=True)):
        if variant == "taken" and not run["probe_reason"][i]:
            for name, column in (("s_div", "divergence"), ("s_crit", "critical")):
                low, high = (float(run[f"probe_{column}_{end}"][i]) * rate for end in ("low", "high"))
                found[name].append(Estimate(int(step), low, high))
    for step, limit in zip(run["curvature"], run["curvature_limit"], strict=True):
        if not math.isnan(limit):
            found["curvature"].append(Estimate(int(step), float(limit), float(limit)))
    return found


def smallest(estimates: list[Estimate], steps: int = FIRST_STEPS) -> Estimate | None:
    """The prediction; None where no step gave one."""
    return min((one for one in estimates if one.step < steps), key=lambda one: one.middle, default=None)


def fails_between(limits: Limits, remedy: str) -> tuple[Interval, str]:
    """Where trials no longer train, as a rate, and how they fail."""
    found = search_result(limits.trials, remedy, 0)
    if found.interval is None:
        raise SystemExit(f"no trial has an outcome: {found.failure}")
    return found.interval.scaled(limits.own_rate), found.fails_by


def diverges_between(limits: Limits, remedy: str) -> Interval:
    """Where trials begin to diverge, as a rate."""
    low, high = bracket(_divergences(limits, remedy))
    return Interval(factor_of(low) if low is not None else 0.0, factor_of(high) if high is not None else math.inf).scaled(limits.own_rate)


def ratio(prediction: Estimate | None, interval: Interval) -> float:
    """Prediction over trials; 1 where neither has a limit, NaN where there is no prediction."""
    if prediction is None:
        return math.nan
    middle = math.sqrt(interval.trains_at * interval.fails_at) if math.isfinite(interval.fails_at) else math.inf
    if math.isinf(middle) or math.isinf(prediction.middle):
        return 1.0 if middle == prediction.middle else math.inf if math.isinf(prediction.middle) else 0.0
    return prediction.middle / middle if middle else math.nan


# -- tables -----------------------------------------------------------------------------------------------------------

HEADS = ["training", "rate", "no longer trains", "diverges", "s_div lr", "ratio", "s_crit lr", "ratio", "curvature", "ratio", "trials"]


def row(combination: Combination, run: Run, limits: Limits) -> tuple[list[str], dict[str, float]]:
    """One line of the table, and its ratios."""
    fails, how = fails_between(limits, combination.remedy)
    diverges = diverges_between(limits, combination.remedy)
    found = {name: smallest(values) for name, values in estimates(run).items()}
    ratios = {name: ratio(one, diverges if name == "s_div" else fails) for name, one in found.items()}
    cells = [combination.name, f"{combination.rate:g}", f"{_interval(fails)} ({how or '-'})", _interval(diverges)]
    for name, one in found.items():
        cells += ["-" if one is None else _number(one.middle), _ratio(ratios[name])]
    return [*cells, str(len(limits.trials))], ratios


def _interval(one: Interval) -> str:
    return f"{_number(one.trains_at)} to {_number(one.fails_at)}" if math.isfinite(one.fails_at) else f"above {_number(one.trains_at)}"


def _number(value: float) -> str:
    return "none" if math.isinf(value) else f"{value:.2g}"


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}{'' if is_within(value) else ' *'}"


def is_within(value: float) -> bool:
    """Whether a ratio is within the factor."""
    return 1 / WITHIN <= value <= WITHIN


def costs(runs: list[Run], limits: list[Limits]) -> Iterator[str]:
    """What it took."""
    forwards = max(int(run["probe_forwards"][run["probe_variant"] == "taken"].max()) for run in runs)
    later = max(int(run["curvature_products"][2:].max()) for run in runs)
    trials = [int(one.attributes.get("search_trials", len(one.trials))) for one in limits]
    yield f"forwards of a line probe: at most {forwards}"
    yield f"Hessian products of a later curvature probe: at most {later}"
    yield f"trials of a search for the rate that no longer trains: {min(trials)} to {max(trials)}, {sum(trials)} in all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--combination", action="append", choices=[one.name for one in COMBINATIONS], metavar="NAME", help="repeatable")
    parser.add_argument("--steps", type=int, default=60, help="of the recording and of each trial")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bnprobe-agreement")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    chosen = [one for one in COMBINATIONS if arguments.combination is None or one.name in arguments.combination]

    def examine(one: Combination) -> tuple[Run, Limits]:
        return record(one, arguments.steps, arguments.folder), search(one, arguments.steps, arguments.folder)

    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    results, ratios = [], []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for one, (run, limits) in zip(chosen, pool.map(examine, chosen), strict=True):
            cells, found = row(one, run, limits)
            results.append((run, limits))
            ratios.append(found)
            print(f"| {' | '.join(cells)} |", flush=True)
    for name in ratios[0]:
        print(f"{name}: within a factor {WITHIN:g} in {sum(is_within(found[name]) for found in ratios)} of {len(ratios)}")
    print(*costs([run for run, _ in results], [limits for _, limits in results]), sep="\n")


if __name__ == "__main__":
    main()
