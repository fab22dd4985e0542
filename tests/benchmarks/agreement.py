"""How far the limit that one recording predicts lies from the one that trials find.

    python -m tests.benchmarks.agreement                                   # sixteen trainings: the tables in docs/learning_rate_figures.md
    python -m tests.benchmarks.agreement --calibration                     # these and 38 more: the constants of the one estimate
    python -m tests.benchmarks.agreement --fresh                           # thirteen that the estimate was not made on: its table
    python -m tests.benchmarks.agreement --combination lstm-momentum
    python -m tests.benchmarks.agreement --jobs 2 --folder /tmp/agreement  # goes on where it was interrupted

Each training is recorded once, at a rate at which it trains, with a line probe and a curvature probe at every second step. Of the first
ten steps the smallest limit is the prediction, for all estimates alike: a training has to survive each of its steps, and it is early, at
the weights that faster trainings pass, too, that a recording speaks for them. It is set against an interval of trials, ``bnprobe lr-limit``
with one seed:

    s_div * lr          against the rate at which trials diverge: both mean a loss beyond 1000 times the first, or lost
    s_crit * lr         against the rate at which trials no longer train: a step that raises the loss need not be fatal, but goes before it
    curvature limit     against the rate at which trials no longer train: linear stability ends there, and nothing is said of how it ends

A fourth estimate was found on these trainings, not before them, and is to be read so. s_back is the smallest s that takes the loss back to
that of the first step, or above: a training is lost when a step undoes all that it has gained, not when it raises the loss a little. It
does not sink with the loss as s_crit does, so it is the median over all probes, against the rate that no longer trains.

The search of lr-limit closes in on the rate that no longer trains; where such a training is stuck, trials are added until the rate that
diverges lies between two neighbours of the same grid. A ratio is prediction over trials, each at the geometric middle of its interval;
there is none where no trial diverges. The second table counts what other ways to make one number of all steps would have given, against
either outcome.

The one estimate is ``bnprobe.analyse.stopping_rate``. Its form and constants were chosen on the calibration's trainings, and committed
before the first limit of a fresh one was searched. A fresh training has another network, loss or optimizer; that it trains at the rate at
which it is recorded was looked at before, and nothing else.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bnprobe.analyse.limits import Interval, Verdict, bracket, search_result, tried
from bnprobe.analyse.stopping_rate import CONSTANTS, SPREAD, StoppingRate, stopping_rate
from bnprobe.experiments.limits.judge import Assignment, judge, recording_of
from bnprobe.experiments.limits.plan import Range, next_index
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.process import TrialProcess
from bnprobe.remedies.specification import parse_all
from bnprobe.store.limits_file import Limits, Trial, factor_of, read_limits, write_limits
from bnprobe.store.reader import Run, read_run

ROOT = Path(__file__).parents[2]
SCRIPT = "tests/benchmarks/agreement_training.py"
FRESH_SCRIPT = "tests/benchmarks/agreement_fresh_training.py"
#: Steps whose smallest limit is the prediction.
FIRST_STEPS = 10
#: Steps from one probe to the next.
EVERY = 2
#: Trials go up to this many steps of the grid above the training's own rate: a factor of 5^6.
HIGHEST = 24
MOST_TRIALS = 20
WITHIN = 2.0
SMALLEST, MEDIAN = "smallest of the first ten steps", "median of all"
#: How each estimate's one number is made, and what it is set against.
RULES = {"s_div": (SMALLEST, "diverges"), "s_crit": (SMALLEST, "fails"), "curvature": (SMALLEST, "fails"), "s_back": (MEDIAN, "fails")}
#: The same, all set against the rate that no longer trains.
RULES_FAILS = {name: (summary, "fails") for name, (summary, _) in RULES.items()}


@dataclass(frozen=True)
class Combination:
    """One training.

    Attributes:
        model: of the script, as the other fields.
        optimizer: of the script.
        norm: of the script.
        rate: at which it is recorded: it trains.
        remedy: at work in the recording and in the trials.
        batch: samples of a batch.
        seed: of the script.
        script: the training.
    """

    model: str
    optimizer: str
    norm: str
    rate: float
    remedy: str = "NONE"
    batch: int = 64
    seed: int = 0
    script: str = SCRIPT

    @property
    def name(self) -> str:
        """Short, and its own."""
        words = [self.model, self.optimizer, *([self.norm] if self.norm != "none" else [])]
        words += [self.remedy.partition(":")[0]] if self.remedy != "NONE" else []
        words += [f"b{self.batch}"] if self.batch != 64 else []
        return "-".join([*words, *([f"s{self.seed}"] if self.seed else [])])

    def arguments(self, steps: int) -> tuple[str, ...]:
        """What the script is told."""
        told = {"model": self.model, "optimizer": self.optimizer, "norm": self.norm, "learning-rate": self.rate, "steps": steps}
        told |= {"batch": self.batch, "seed": self.seed}
        return tuple(word for option, value in told.items() for word in (f"--{option}", str(value)))


#: Mean shift rejection at He gain, as the file of trials names it.
MSR = parse_all(["msr:gain=he"])[0].text

COMBINATIONS = [
    Combination("cnn", "sgd", "none", 0.1),
    Combination("cnn", "momentum", "none", 0.02),
    Combination("cnn", "adamw", "none", 0.002),
    Combination("cnn", "momentum", "batch", 0.05),
    Combination("cnn", "momentum", "none", 0.02, MSR),
    Combination("residual", "sgd", "none", 0.003),
    Combination("residual", "adamw", "none", 0.001),
    Combination("residual", "sgd", "batch", 0.1),
    Combination("residual", "momentum", "none", 0.01, MSR),
    Combination("mlp", "sgd", "none", 0.03),
    Combination("mlp", "adamw", "none", 0.001),
    Combination("mlp", "momentum", "batch", 0.03),
    Combination("transformer", "sgd", "post", 0.05),
    Combination("transformer", "adamw", "pre", 0.001),
    Combination("lstm", "momentum", "none", 0.1),
    Combination("lstm", "adamw", "none", 0.005),
]
#: With the sixteen above, and with those that follow, what the one estimate was made on.
FURTHER = [
    Combination("cnn", "rmsprop", "none", 0.0003),
    Combination("mlp", "rmsprop", "none", 0.0003),
    Combination("lstm", "rmsprop", "none", 0.001),
    Combination("cnn", "adamw", "batch", 0.001),
    Combination("mlp", "adamw", "batch", 0.001),
    Combination("residual", "adamw", "batch", 0.001),
    Combination("cnn", "sgd", "batch", 0.1),
    Combination("mlp", "sgd", "batch", 0.1),
    Combination("residual", "momentum", "batch", 0.02, batch=32),
    Combination("mlp", "nesterov", "none", 0.005),
    Combination("transformer", "momentum", "pre", 0.01),
    Combination("transformer", "adamw", "post", 0.0005),
    Combination("lstm", "sgd", "none", 0.3, seed=1),
    Combination("mlp", "momentum", "none", 0.005, batch=256, seed=1),
    Combination("cnn", "sgd", "none", 0.02, batch=16, seed=1),
    Combination("residual", "momentum", "none", 0.001, seed=2),
    Combination("mlp", "sgd", "layer", 0.05),
    Combination("mlp", "adamw", "layer", 0.001),
    Combination("cnn", "sgd", "group", 0.05),
    Combination("cnn", "adamw", "group", 0.001),
]
#: And these, on which a first rule failed that had been made on the thirty-six alone.
FIRST_FRESH = [
    Combination(model, optimizer, norm, rate, batch=batch, script=FRESH_SCRIPT)
    for model, optimizer, norm, rate, batch in (
        ("unet", "sgd", "none", 0.1, 64),
        ("unet", "momentum", "batch", 0.01, 64),
        ("unet", "adam", "group", 0.002, 64),
        ("gru", "nesterov", "none", 0.05, 64),
        ("gru", "rmsprop", "none", 0.002, 32),
        ("mixer", "momentum", "layer", 0.02, 64),
        ("mixer", "adamw", "layer", 0.002, 64),
        ("vae", "momentum", "none", 0.0002, 64),
        ("vae", "adam", "none", 0.001, 128),
        ("pixels", "adamw", "none", 0.002, 32),
        ("tanh", "sgd", "layer", 0.1, 64),
        ("tanh", "adam", "none", 0.001, 128),
        ("deep", "nesterov", "batch", 0.02, 64),
        ("deep", "rmsprop", "layer", 0.0003, 64),
        ("regression", "momentum", "none", 0.05, 256),
        ("regression", "adamw", "none", 0.005, 256),
        ("pooled", "sgd", "batch", 0.1, 32),
        ("pooled", "adam", "batch", 0.002, 64),
    )
]
CALIBRATION = [*COMBINATIONS, *FURTHER, *FIRST_FRESH]
FRESH = [
    Combination(model, optimizer, norm, rate, batch=batch, script=FRESH_SCRIPT)
    for model, optimizer, norm, rate, batch in (
        ("sigmoid", "momentum", "none", 0.05, 64),
        ("sigmoid", "rmsprop", "none", 0.001, 64),
        ("wide", "sgd", "none", 0.02, 128),
        ("wide", "adam", "none", 0.0005, 64),
        ("resmlp", "momentum", "none", 0.005, 64),
        ("resmlp", "adamw", "layer", 0.001, 64),
        ("resmlp", "sgd", "layer", 0.05, 32),
        ("rnn", "sgd", "none", 0.1, 64),
        ("rnn", "adam", "none", 0.001, 32),
        ("autoencoder", "nesterov", "none", 0.02, 64),
        ("autoencoder", "adam", "batch", 0.005, 64),
        ("separable", "nesterov", "batch", 0.02, 64),
        ("separable", "sgd", "batch", 0.2, 64),
    )
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
        options = ["--line-probe", "1"]
        if combination in COMBINATIONS:
            options = ["--line-probe", str(EVERY), "--curvature", str(EVERY), "--curvature-kernels", "math"]
        remedy = [] if combination.remedy == "NONE" else ["--remedy", combination.remedy]
        draft = file.with_suffix(".part")
        command = ["record", "-q", "-f", "-o", str(draft), *options, *remedy, combination.script, *combination.arguments(steps)]
        _bnprobe(command)
        draft.rename(file)
    return read_run(file)


def search(combination: Combination, steps: int, folder: Path) -> Limits:
    """Search the rate that no longer trains, and then, for the first sixteen, the rate that diverges."""
    file = folder / f"{combination.name}.limits.h5"
    options = ["--remedy", combination.remedy, "--seeds", "1", "--steps", str(steps), "--jobs", "1", "-o", str(file)]
    if not file.exists() or read_limits(file).attributes["status"] != "finished":
        _bnprobe(["lr-limit", *options, combination.script, *combination.arguments(steps)])
    limits = read_limits(file)
    limits.attributes.setdefault("search_trials", len(limits.trials))
    while combination in COMBINATIONS and (grid_index := next_for_divergence(limits, combination.remedy)) is not None:
        limits.trials.append(judge_one(combination, grid_index, steps, folder))
        write_limits(file, limits.attributes, limits.trials, limits.predictions)
    return limits


def next_for_divergence(limits: Limits, remedy: str) -> int | None:
    """The place to try next when all that counts is whether it diverges."""
    return next_index(_divergences(limits, remedy), allowed=Range(high=HIGHEST), most_trials=MOST_TRIALS)


def _divergences(limits: Limits, remedy: str) -> dict[int, Verdict]:
    return {grid_index: "fails" if one.outcome == "diverges" else "trains" for grid_index, one in tried(limits.trials, remedy, 0).items()}


def judge_one(combination: Combination, grid_index: int, steps: int, folder: Path) -> Trial:
    """Make one trial more."""
    script = Script(combination.script, False, combination.arguments(steps))
    remedies = () if combination.remedy == "NONE" else (combination.remedy,)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        change = Change(remedies, factor=factor_of(grid_index))
        process = TrialProcess(TrialOrder(script, change, steps, 1, command="lr-limit"), Path(own) / "trial")
        process.wait()
        return judge(Assignment(combination.remedy, 0, grid_index), process, recording_of(process))


def _bnprobe(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "bnprobe", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bnprobe {' '.join(arguments)}\n{done.stderr[-2000:]}")


# -- what they say ----------------------------------------------------------------------------------------------------


def estimates(run: Run) -> dict[str, list[Estimate]]:
    """What each step predicts."""
    found: dict[str, list[Estimate]] = {"s_div": [], "s_crit": [], "curvature": [], "s_back": []}
    first_loss = float(run["loss"][0])
    for i, (step, variant, rate) in enumerate(zip(run["probe_step"], run["probe_variant"], run["probe_learning_rate"], strict=True)):
        if variant == "taken" and not run["probe_reason"][i]:
            for name, column in (("s_div", "divergence"), ("s_crit", "critical")):
                low, high = (float(run[f"probe_{column}_{end}"][i]) * rate for end in ("low", "high"))
                found[name].append(Estimate(int(step), low, high))
            low, high = first_above(run, i, first_loss / float(run["probe_loss"][i]))
            found["s_back"].append(Estimate(int(step), low * rate, high * rate))
    for step, limit in zip(run["curvature"], run["curvature_limit"], strict=True):
        if not math.isnan(limit):
            found["curvature"].append(Estimate(int(step), float(limit), float(limit)))
    return found


def first_above(run: Run, probe: int, level: float) -> tuple[float, float]:
    """The interval of s in which r(s) first exceeds a level, or 1 where the level is less."""
    own = run["probe_point_probe"] == run["probe"][probe]
    points = sorted(zip(run["probe_point_s"][own].tolist(), run["probe_point_ratio"][own].tolist(), strict=True))
    high = min((s for s, r in points if r > max(level, 1.0)), default=math.inf)
    return max((s for s, _ in points if s < high), default=0.0), high


def summaries(estimates: list[Estimate]) -> dict[str, float]:
    """One number of all steps, in several ways; none where no step has one."""
    everywhere = [one.middle for one in estimates]
    early = [one.middle for one in estimates if one.step < FIRST_STEPS]
    if not early:
        return {}
    return {
        SMALLEST: min(early),
        "median of the first ten steps": statistics.median(early),
        "smallest of all": min(everywhere),
        MEDIAN: statistics.median(everywhere),
    }


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


def ratio(prediction: float, interval: Interval) -> float:
    """Prediction over trials; NaN where trials have no limit."""
    if not interval.is_closed:
        return math.nan
    return prediction / math.sqrt(interval.trains_at * interval.fails_at)


# -- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What one training has given."""

    combination: Combination
    run: Run
    limits: Limits

    @property
    def intervals(self) -> dict[str, Interval]:
        """What trials found."""
        remedy = self.combination.remedy
        return {"fails": fails_between(self.limits, remedy)[0], "diverges": diverges_between(self.limits, remedy)}

    def ratios(self, rule: Callable[[str], tuple[str, str]]) -> dict[str, float]:
        """The ratio of each estimate, its summary and outcome chosen by a rule."""
        found = {}
        for name, values in estimates(self.run).items():
            summary, outcome = rule(name)
            numbers = summaries(values)
            found[name] = ratio(numbers[summary], self.intervals[outcome]) if numbers else math.nan
        return found

    def row(self) -> str:
        """One line of the table."""
        fails, how = fails_between(self.limits, self.combination.remedy)
        cells = [self.combination.name, f"{self.combination.rate:g}", f"{_interval(fails)} ({how or '-'})"]
        cells.append(_interval(self.intervals["diverges"]))
        ratios = self.ratios(RULES.__getitem__)
        for name, values in estimates(self.run).items():
            numbers = summaries(values)
            cells += [_number(numbers[RULES[name][0]]) if numbers else "-", _ratio(ratios[name])]
        return f"| {' | '.join([*cells, str(len(self.limits.trials))])} |"

    @property
    def estimated(self) -> StoppingRate:
        """The one estimate."""
        found = stopping_rate(self.run)
        if found is None:
            raise SystemExit(f"no estimate of {self.combination.name}")
        return found

    @property
    def estimate_ratio(self) -> float:
        """The one estimate over what trials found."""
        return ratio(self.estimated.rate, self.intervals["fails"])

    @property
    def middle(self) -> float:
        """Geometric middle of what trials found."""
        fails = self.intervals["fails"]
        return math.sqrt(fails.trains_at * fails.fails_at)

    @property
    def is_covered(self) -> bool:
        """Whether the interval of the one estimate reaches the one that trials found."""
        low, high = self.estimated.interval
        fails = self.intervals["fails"]
        return low < fails.fails_at and fails.trains_at < high

    def estimate_row(self) -> str:
        """One line of the one estimate's table."""
        fails, how = fails_between(self.limits, self.combination.remedy)
        own, found = self.combination.rate, self.estimated
        cells = [self.combination.name, f"{own:g}", f"{_number(fails.trains_at / own)}", found.kind, f"{_interval(fails)} ({how or '-'})"]
        cells += [_number(found.rate), " to ".join(_number(end) for end in found.interval), _ratio(self.estimate_ratio)]
        others = (summaries(estimates(self.run)[name])[RULES[name][0]] for name in ("s_crit", "s_back", "s_div"))
        return f"| {' | '.join([*cells, *(_ratio(ratio(one, fails)) for one in others), str(len(self.limits.trials))])} |"


ESTIMATE_HEADS = ["training", "rate", "limit / rate", "kind", "no longer trains", "estimate", "its interval", "ratio"]
ESTIMATE_HEADS += ["s_crit", "s_back", "s_div", "trials"]
HEADS = ["training", "rate", "no longer trains", "diverges"]
HEADS += [word for name in ("s_div lr", "s_crit lr", "curvature", "s_back lr") for word in (name, "ratio")] + ["trials"]


def _interval(one: Interval) -> str:
    return f"{_number(one.trains_at)} to {_number(one.fails_at)}" if math.isfinite(one.fails_at) else f"above {_number(one.trains_at)}"


def _number(value: float) -> str:
    return "none" if math.isinf(value) else f"{value:.2g}"


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"**{value:.2g}**" if is_within(value) else _number(value)


def is_within(value: float) -> bool:
    """Whether a ratio is within the factor."""
    return 1 / WITHIN <= value <= WITHIN


def counts(results: list[Result]) -> Iterator[str]:
    """How many lie within the factor: each estimate, each way to sum it up, each outcome."""
    names, outcomes = list(RULES), {"fails": "no longer trains", "diverges": "diverges"}
    yield f"| one number of all steps | against | {' | '.join(names)} |\n|{'---|' * (len(names) + 2)}"
    for summary in summaries([Estimate(0, 1.0, 1.0)]):
        for outcome, words in outcomes.items():
            found = [one.ratios(lambda _, chosen=(summary, outcome): chosen) for one in results]  # type: ignore[misc]
            cells = [str(sum(is_within(one[name]) for one in found)) for name in names]
            yield f"| {summary} | {words} | {' | '.join(cells)} |"


def bracketed(results: list[Result]) -> str:
    """In how many trainings the interval that no longer trains reaches between the smallest s_crit and s_div of the first steps."""
    found, widths = 0, []
    for one in results:
        numbers, fails = {name: summaries(values) for name, values in estimates(one.run).items()}, one.intervals["fails"]
        found += numbers["s_crit"][SMALLEST] < fails.fails_at and fails.trains_at < numbers["s_div"][SMALLEST]
        widths.append(numbers["s_div"][SMALLEST] / max(numbers["s_crit"][SMALLEST], sys.float_info.min))
    apart = f"a factor of {statistics.median(widths):.2g} apart in the median"
    return f"the rate that no longer trains lies between s_crit and s_div, {apart}, in {found} of {len(results)}"


def agreed(results: list[Result]) -> Iterator[str]:
    """How good the one estimate was."""
    ratios = [one.estimate_ratio for one in results]
    known = [abs(math.log(one)) for one in ratios if not math.isnan(one)]
    yield f"the one estimate: within a factor {WITHIN:g} {sum(is_within(one) for one in ratios)} of {len(results)}"
    covered = sum(one.is_covered for one in results)
    yield f"its interval, a factor {SPREAD:g} either way, reaches that of the trials in {covered} of {len(results)}"
    holds = sum(one.estimated.interval[0] < one.middle < one.estimated.interval[1] for one in results)
    yield f"and holds the geometric middle of theirs in {holds}"
    for name in ("s_crit", "s_back", "s_div"):
        within = sum(is_within(one.ratios(RULES_FAILS.__getitem__)[name]) for one in results)
        yield f"{name}: within a factor {WITHIN:g} {within} of {len(results)}"
    yield bracketed(results)
    yield f"off by a factor of {math.exp(statistics.median(known)):.2g} in the median, {math.exp(max(known)):.2g} at worst"


def calibrated(results: list[Result]) -> Iterator[str]:
    """The constants, and how good the estimate is with those of the other trainings."""
    left_out = []
    for kind, constant in CONSTANTS.items():
        needed = [constant / one.estimate_ratio for one in results if one.estimated.kind == kind]
        yield f"{kind}: {len(needed)} trainings; constant in use {constant:g}, median {statistics.median(needed or [math.nan]):.2g}"
        for place, one in enumerate(needed):
            others = needed[:place] + needed[place + 1 :]
            left_out.append((statistics.median(others) if others else constant) / one)
    errors = sorted(math.exp(abs(math.log(one))) for one in left_out)
    ninth = errors[min(math.ceil(0.9 * (len(errors) + 1)), len(errors)) - 1]
    within = sum(is_within(one) for one in left_out)
    yield f"each left out in turn: within a factor {WITHIN:g} {within} of {len(left_out)}; nine of ten within {ninth:.3g}"


def costs(results: list[Result]) -> Iterator[str]:
    """What it took."""
    runs = [one.run for one in results]
    forwards = max(int(run["probe_forwards"][run["probe_variant"] == "taken"].max()) for run in runs)
    products = [run["curvature_products"] for run in runs]
    first, later = max(int(one[0]) for one in products), max(int(one[1:].max()) for one in products)
    trials = [int(one.attributes.get("search_trials", len(one.trials))) for one in (result.limits for result in results)]
    yield f"forwards of a line probe: at most {forwards}"
    yield f"Hessian products of a curvature probe: at most {first} at first, at most {later} later"
    yield f"trials of a search for the rate that no longer trains: {min(trials)} to {max(trials)}, {sum(trials)} in all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen_set = parser.add_mutually_exclusive_group()
    chosen_set.add_argument("--calibration", action="store_true", help="what the one estimate was made on")
    chosen_set.add_argument("--fresh", action="store_true", help="what it was not made on")
    names = [one.name for one in (*CALIBRATION, *FRESH)]
    parser.add_argument("--combination", action="append", choices=names, metavar="NAME", help="repeatable")
    parser.add_argument("--steps", type=int, default=60, help="of the recording and of each trial")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bnprobe-agreement")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    known = FRESH if arguments.fresh else CALIBRATION if arguments.calibration else COMBINATIONS
    chosen = [one for one in known if arguments.combination is None or one.name in arguments.combination]

    def examine(one: Combination) -> Result:
        return Result(one, record(one, arguments.steps, arguments.folder), search(one, arguments.steps, arguments.folder))

    by_one_estimate = arguments.fresh or arguments.calibration
    heads = ESTIMATE_HEADS if by_one_estimate else HEADS
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    results = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for result in pool.map(examine, chosen):
            results.append(result)
            print(result.estimate_row() if by_one_estimate else result.row(), flush=True)
    if by_one_estimate:
        print("", *(calibrated(results) if arguments.calibration else ()), *agreed(results), sep="\n")
        return
    print(f"\nof {len(results)}, within a factor {WITHIN:g}:\n", *counts(results), "", bracketed(results), *costs(results), sep="\n")


if __name__ == "__main__":
    main()
