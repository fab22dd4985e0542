"""All searches at once: which trial next, some at a time, each result on disk before the next begins."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bnprobe.analyse.limits import bracket, tried, verdict_of
from bnprobe.errors import BnprobeError
from bnprobe.experiments.lock import owned_folder
from bnprobe.experiments.process import Script
from bnprobe.lrlimit.judge import judge, recording_of
from bnprobe.lrlimit.plan import MOST_TRIALS, NEAR_STRIDES, STRIDES, Range, next_index
from bnprobe.lrlimit.predict import predictions_of
from bnprobe.lrlimit.trial import Assignment, RunningTrial
from bnprobe.remedies.specification import split
from bnprobe.store.limits_file import GRID_RATIO, Prediction, Trial, own_rate, write_limits

_POLL_SECONDS = 0.05
#: Trials that a search takes as a rule, from the script's own rate and from the limit of another seed.
USUAL_TRIALS, USUAL_TRIALS_NEAR = 5, 3


@dataclass(frozen=True)
class Plan:
    """What is to be found out.

    Attributes:
        script: what is tried.
        remedies: to compare: specifications joined by '+', or NONE.
        seeds: how many.
        steps: optimizer steps of a trial.
        rates: smallest and largest rate to try; None without limits.
        jobs: trials at a time.
        threads: of each.
    """

    script: Script
    remedies: tuple[str, ...]
    seeds: int
    steps: int
    rates: tuple[float, float] | None
    jobs: int
    threads: int


@dataclass(frozen=True)
class Standing:
    """How far the searches have come.

    Attributes:
        done: trials that have ended.
        expected: trials in all, as far as can be foreseen.
        running: those under way.
        seconds_left: time that the rest will take, NaN as long as nothing is known.
    """

    done: int
    expected: int
    running: list[Assignment]
    seconds_left: float


class Searches:
    """The searches of a plan, some of whose trials may have been made before.

    Args:
        plan: what to find out.
        path: the file of trials.
        attributes: its root attributes.
        trials: those that it holds already; they are not repeated.
        on_trial: told of each trial that ends.
        on_standing: told some times a second how far things have come.
    """

    def __init__(
        self,
        plan: Plan,
        path: Path,
        attributes: dict[str, str | int | float],
        trials: list[Trial],
        predictions: list[Prediction],
        on_trial: Callable[[Trial], None],
        on_standing: Callable[[Standing], None],
    ) -> None:
        self.trials = trials
        self.predictions = predictions
        self._plan = plan
        self._path = path
        self._attributes = attributes
        self._folder = path.with_name(f".{path.name}.trials")
        self._on_trial = on_trial
        self._on_standing = on_standing
        self._running: list[RunningTrial] = []
        self._started = 0
        self._chains = [(remedy, seed) for seed in range(plan.seeds) for remedy in plan.remedies]

    def run(self) -> None:
        """Make the trials that are missing.

        Raises:
            UsageError: another process is at work on the file.
            BnprobeError: the script fails as it is, at its own rate.
            KeyboardInterrupt: Ctrl-C; what has ended is on disk, and nothing is left running.
        """
        with self._owning_the_folder():
            self._save("running")
            try:
                while self._fill():
                    self._wait()
            except BaseException:
                self._end_all()
                self._save("interrupted")
                raise
            self._save("finished")

    # -- trials -------------------------------------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Start what can be started; return whether anything is under way."""
        while len(self._running) < self._plan.jobs:
            assignment = self._next()
            if assignment is None:
                break
            self._start(assignment)
        return bool(self._running)

    def _next(self) -> Assignment | None:
        busy = {(one.assignment.remedy, one.assignment.seed) for one in self._running}
        for remedy, seed in self._chains:
            if (remedy, seed) in busy:
                continue
            grid_index = self._next_index(remedy, seed)
            if grid_index is not None:
                return Assignment(remedy, seed, grid_index)
        return None

    def _next_index(self, remedy: str, seed: int) -> int | None:
        if any((one.remedy, one.seed, one.outcome) == (remedy, seed, "failed") for one in self.trials):
            return None
        own = own_rate(self.trials)
        if self._plan.rates is not None and math.isnan(own):
            # The first trial shows what the script's own rate is; only then can others be told theirs.
            return None if self._running else 0
        verdicts = {grid_index: verdict_of(trial) for grid_index, trial in tried(self.trials, remedy, seed).items()}
        start, strides = self._start_of(remedy, seed)
        return next_index(verdicts, start, strides, self._range(own))

    def _start_of(self, remedy: str, seed: int) -> tuple[int, tuple[int, ...]]:
        """Begin where the first seed has ended, if it has; else at the script's own rate."""
        if seed and self._next_index(remedy, 0) is None:
            low, high = bracket({grid_index: verdict_of(trial) for grid_index, trial in tried(self.trials, remedy, 0).items()})
            if low is not None and high is not None:
                return low, NEAR_STRIDES
        return 0, STRIDES

    def _range(self, own: float) -> Range:
        if self._plan.rates is None:
            return Range()
        slowest, fastest = (math.log(rate / own, GRID_RATIO) for rate in self._plan.rates)
        low = math.ceil(slowest - 1e-6)
        return Range(low, max(low, math.floor(fastest + 1e-6)))

    def _start(self, assignment: Assignment) -> None:
        self._started += 1
        remedies = [] if assignment.remedy == "NONE" else split(assignment.remedy)
        plan = self._plan
        folder = self._folder / f"trial-{self._started}"
        probes = assignment.seed == 0 and assignment.grid_index == 0
        self._running.append(RunningTrial(plan.script, assignment, remedies, plan.steps, folder, plan.threads, probes=probes))

    def _wait(self) -> None:
        """Wait for the next trial to end, and keep it."""
        while not any(one.is_over() for one in self._running):
            self._on_standing(self.standing())
            time.sleep(_POLL_SECONDS)
        for one in [one for one in self._running if one.is_over()]:
            self._running.remove(one)
            run = recording_of(one)
            trial = judge(one, run)
            self.trials.append(trial)
            if one.probes and run is not None and trial.outcome != "failed":
                self.predictions.extend(predictions_of(run, trial.remedy))
            one.end()
            one.clear()
            self._save("running")
            self._on_trial(trial)
            if (
                trial.outcome == "failed"
                and trial.remedy == "NONE"
                and trial.grid_index == 0
                and all(t.outcome == "failed" for t in self.trials)
            ):
                raise ScriptFailed(trial)

    def _end_all(self) -> None:
        for one in self._running:
            one.end()
            one.clear()
        self._running.clear()

    def standing(self) -> Standing:
        """How far the searches have come."""
        left = sum(self._expected(remedy, seed) for remedy, seed in self._chains)
        now = [one.assignment for one in self._running]
        times = [trial.seconds for trial in self.trials]
        if not times:
            return Standing(0, left, now, math.nan)
        mean = sum(times) / len(times)
        under_way = sum(min(one.seconds, mean) for one in self._running)
        seconds = max(0.0, left * mean - under_way) / min(self._plan.jobs, max(1, left))
        return Standing(len(self.trials), len(self.trials) + left, now, seconds)

    def _expected(self, remedy: str, seed: int) -> int:
        """Trials that a search will still take."""
        if self._next_index(remedy, seed) is None and not any(
            (one.assignment.remedy, one.assignment.seed) == (remedy, seed) for one in self._running
        ):
            return 0
        found = tried(self.trials, remedy, seed)
        low, high = bracket({grid_index: verdict_of(trial) for grid_index, trial in found.items()})
        if low is not None and high is not None:
            return max(1, math.ceil(math.log2(high - low)))
        usual = USUAL_TRIALS_NEAR if seed else USUAL_TRIALS
        return min(max(2, usual - len(found)), max(1, MOST_TRIALS - len(found)))

    # -- the file and the folder --------------------------------------------------------------------------------------

    def _save(self, status: str) -> None:
        write_limits(self._path, {**self._attributes, "status": status}, self.trials, self.predictions)

    def _owning_the_folder(self) -> AbstractContextManager[None]:
        """Keep a second command off the same file."""
        return owned_folder(self._folder, str(self._path))


class ScriptFailed(BnprobeError):
    """The script itself fails, before any rate is scaled."""

    def __init__(self, trial: Trial) -> None:
        lines = "".join(f"\n    {line}" for line in trial.output.splitlines())
        super().__init__(f"the script gives no outcome at its own rate: {trial.reason}{lines}", None)
