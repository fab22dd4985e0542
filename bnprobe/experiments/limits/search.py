"""All searches at once: which trial next, some at a time, each result on disk before the next begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnprobe.analyse.limits import bracket, tried, verdict_of
from bnprobe.errors import BnprobeError
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.experiment import Experiment, Standing
from bnprobe.experiments.limits.judge import Assignment, judge, recording_of
from bnprobe.experiments.limits.plan import MOST_TRIALS, NEAR_STRIDES, STRIDES, Range, next_index
from bnprobe.experiments.limits.predict import predictions_of
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.remedies.specification import split
from bnprobe.store.limits_file import GRID_RATIO, NO_REMEDY, Prediction, Trial, factor_of, own_rate, write_limits

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


class Searches(Experiment[Assignment]):
    """The searches of a plan, some of whose trials may have been made before.

    Args:
        plan: what to find out.
        executor: who runs the trials.
        path: the file of trials.
        attributes: its root attributes.
        trials: those that it holds already; they are not repeated.
        on_trial: told of each trial that ends.
        on_standing: told some times a second how far things have come.
    """

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        path: Path,
        attributes: dict[str, str | int | float],
        trials: list[Trial],
        predictions: list[Prediction],
        on_trial: Callable[[Trial], None],
        on_standing: Callable[[Standing[Assignment]], None],
    ) -> None:
        self.trials = trials
        self.predictions = predictions
        super().__init__(path, plan.jobs, executor)
        self._plan = plan
        self._attributes = attributes
        self._on_trial = on_trial
        self._on_standing = on_standing
        self._chains = [(remedy, seed) for seed in range(plan.seeds) for remedy in plan.remedies]

    def run(self) -> None:
        """Make the trials that are missing.

        Raises:
            UsageError: another process is at work on the file.
            BnprobeError: the script fails as it is, at its own rate.
            KeyboardInterrupt: Ctrl-C; what has ended is on disk, and nothing is left running.
        """
        with self.owning_the_file():
            self._save("running")
            try:
                self.make_trials()
            except BaseException:
                self._save("interrupted")
                raise
            self._save("finished")

    # -- trials -------------------------------------------------------------------------------------------------------

    def next_order(self) -> Assignment | None:
        """The next rate of a search of which no trial is under way.

        Other seeds wait for the limit of the first, from which they begin: which rates are tried must not rest on which trial ended first.

        Returns:
            Where there is one.
        """
        busy = {(one.remedy, one.seed) for one, _ in self.under_way}
        for remedy, seed in self._chains:
            waits = seed > 0 and ((remedy, 0) in busy or self._next_index(remedy, 0) is not None)
            if waits or (remedy, seed) in busy:
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
            return None if self.under_way else 0
        verdicts = {grid_index: verdict_of(trial) for grid_index, trial in tried(self.trials, remedy, seed).items()}
        start, strides = self._start_of(remedy, seed)
        return next_index(verdicts, start, strides, self._range(own))

    def _start_of(self, remedy: str, seed: int) -> tuple[int, tuple[int, ...]]:
        """Begin where the first seed has ended, if that found a limit; else at the script's own rate."""
        if seed:
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

    def trial_of(self, assignment: Assignment) -> TrialOrder:
        """The trial of a rate; that of the script's own rate shall predict a limit, too."""
        remedies = () if assignment.remedy == NO_REMEDY else tuple(split(assignment.remedy))
        change = Change(remedies, factor=factor_of(assignment.grid_index), seed=assignment.seed)
        plan = self._plan
        return TrialOrder(plan.script, change, plan.steps, plan.threads, command="lr-limit", probes=_predicts(assignment))

    def may_share_start(self, assignment: Assignment) -> bool:
        """Trials begin with torch imported once one by itself has shown that they may."""
        return self.can_share_start

    def ended(self, assignment: Assignment, process: RunningTrial) -> None:
        """Keep a trial, with what it predicts."""
        run = recording_of(process)
        trial = judge(assignment, process, run)
        self.trials.append(trial)
        if _predicts(assignment) and run is not None and trial.outcome != "failed":
            self.predictions.extend(predictions_of(run, trial.remedy))
        self._save("running")
        self._on_trial(trial)
        if is_own_failure(trial, self.trials):
            raise ScriptFailed(trial)

    def waiting(self) -> None:
        """Tell how far things have come."""
        self._on_standing(self.standing())

    def standing(self) -> Standing[Assignment]:
        """How far the searches have come."""
        left = sum(self._expected(remedy, seed) for remedy, seed in self._chains)
        now = [one for one, _ in self.under_way]
        times = [trial.seconds for trial in self.trials]
        if not times:
            return Standing(0, left, now, math.nan)
        mean = sum(times) / len(times)
        under_way = sum(min(process.seconds, mean) for _, process in self.under_way)
        seconds = max(0.0, left * mean - under_way) / min(self._plan.jobs, max(1, left))
        return Standing(len(self.trials), len(self.trials) + left, now, seconds)

    def _expected(self, remedy: str, seed: int) -> int:
        """Trials that a search will still take."""
        if self._next_index(remedy, seed) is None and not any((one.remedy, one.seed) == (remedy, seed) for one, _ in self.under_way):
            return 0
        found = tried(self.trials, remedy, seed)
        low, high = bracket({grid_index: verdict_of(trial) for grid_index, trial in found.items()})
        if low is not None and high is not None:
            return max(1, math.ceil(math.log2(high - low)))
        usual = USUAL_TRIALS_NEAR if seed else USUAL_TRIALS
        return min(max(2, usual - len(found)), max(1, MOST_TRIALS - len(found)))

    # -- the file -----------------------------------------------------------------------------------------------------

    def _save(self, status: str) -> None:
        write_limits(self._path, {**self._attributes, "status": status}, self.trials, self.predictions)


def _predicts(assignment: Assignment) -> bool:
    return assignment.seed == 0 and assignment.grid_index == 0


def is_own_failure(trial: Trial, trials: Sequence[Trial]) -> bool:
    """Whether the script itself gives no outcome, at its own rate and before any other trial gave one."""
    return (
        trial.outcome == "failed" and (trial.remedy, trial.grid_index) == (NO_REMEDY, 0) and all(one.outcome == "failed" for one in trials)
    )


class ScriptFailed(BnprobeError):
    """The script itself fails, before any rate is scaled."""

    def __init__(self, trial: Trial) -> None:
        lines = "".join(f"\n    {line}" for line in trial.output.splitlines())
        super().__init__(f"the script gives no outcome at its own rate: {trial.reason}{lines}", None)
