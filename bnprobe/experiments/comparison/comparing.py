"""All techniques at once: which trial next, some at a time, each result on disk before the next begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bnprobe.errors import BnprobeError
from bnprobe.experiments.comparison.judging import judge
from bnprobe.experiments.comparison.plan import Assignment, Plan, next_of, trials_left
from bnprobe.experiments.comparison.techniques import change_of
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.experiment import Experiment, Standing
from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.store.comparison_file import NO_TECHNIQUE, WHOLE, Trial, write_comparison
from bnprobe.store.limits_file import factor_of


class ScriptFails(BnprobeError):
    """The script gives no outcome as it is."""

    def __init__(self, trial: Trial) -> None:
        lines = "".join(f"\n    {line}" for line in trial.output.splitlines())
        super().__init__(f"the script gives no outcome as it is: {trial.reason}{lines}", None)


class Comparing(Experiment[Assignment]):
    """The trials of a plan, some of which may have been made before.

    Args:
        plan: what to find out.
        executor: who runs the trials.
        path: the file of results.
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
        attributes: Mapping[str, str | int | float],
        trials: Sequence[Trial],
        on_trial: Callable[[Trial], None],
        on_standing: Callable[[Standing[Assignment]], None],
    ) -> None:
        super().__init__(path, plan.jobs, executor)
        self.trials = list(trials)
        self._plan = plan
        self._attributes = attributes
        self._on_trial = on_trial
        self._on_standing = on_standing

    def run(self) -> None:
        """Make the trials that are missing.

        Raises:
            UsageError: another process is at work on the file.
            BnprobeError: the script fails as it is.
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

    def next_order(self) -> Assignment | None:
        """The next trial of the technique that is furthest behind: of one seed all are made in a row, which compares their costs."""
        if not self.trials and self.under_way:
            return None  # whether the script runs at all is seen first
        running = [assignment for assignment, _ in self.under_way]
        wanted = [next_of(self._plan, technique, self.trials, running) for technique in self._plan.terms.techniques]
        return min((one for one in wanted if one is not None), key=self._stage, default=None)

    def _stage(self, assignment: Assignment) -> tuple[bool, int]:
        return assignment.length == self._plan.terms.length and assignment.length != self._plan.terms.search_length, assignment.seed

    def trial_of(self, assignment: Assignment) -> TrialOrder:
        """The training of a technique at a rate and a seed."""
        plan = self._plan
        change = change_of(assignment.technique, factor_of(assignment.grid_index), assignment.seed)
        steps = None if assignment.length == WHOLE else assignment.length
        return TrialOrder(plan.script, change, steps, plan.threads, command="compare", compared=True)

    def may_share_start(self, assignment: Assignment) -> bool:
        """Those that look for rates may, once one by itself has shown it; those of full length are told by their time and memory."""
        return self.can_share_start and not self._stage(assignment)[0] and assignment.length != self._plan.terms.length

    def ended(self, assignment: Assignment, process: RunningTrial) -> None:
        """Judge a trial and keep it."""
        trial = judge(assignment, process, self._plan.metric)
        self.trials.append(trial)
        self._save("running")
        self._on_trial(trial)
        is_own = (trial.remedy, trial.grid_index, trial.seed) == (NO_TECHNIQUE, 0, 0)
        if trial.outcome == "failed" and is_own:
            raise ScriptFails(trial)

    def waiting(self) -> None:
        """Tell how far things have come."""
        self._on_standing(self.standing())

    def standing(self) -> Standing[Assignment]:
        """How far the comparison has come; whole trials are taken to last as long as whole ones did."""
        left = sum(trials_left(self._plan, technique, self.trials) for technique in self._plan.terms.techniques)
        times = [trial.seconds for trial in self.trials]
        now = [assignment for assignment, _ in self.under_way]
        if not times:
            return Standing(0, left, now, math.nan)
        under_way = sum(min(process.seconds, sum(times) / len(times)) for _, process in self.under_way)
        seconds = max(0.0, left * sum(times) / len(times) - under_way) / min(self._plan.jobs, max(1, left))
        return Standing(len(self.trials), len(self.trials) + left, now, seconds)

    def _save(self, status: str) -> None:
        write_comparison(self._path, {**self._attributes, "status": status}, self.trials)
