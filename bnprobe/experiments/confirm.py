"""A verdict put to the test: the script as it is, at a tenth of its rate, and with each candidate cause taken away.

Trials are made one after the other or a few at a time, each kept on disk as it ends; those of a cause that is confirmed already are left
out. The same command goes on where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.experiments.counterfactuals import AGAIN, AS_IS, GENERIC, TESTS, counterfactual, trials_of
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.experiment import Experiment
from bnprobe.experiments.judging import judge, judge_trial
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.store.confirm_file import Confirmation, Judgement, Trial, write_confirmation
from bnprobe.store.reader import Run

#: Causes that are put to the test unless some are named.
MOST_CAUSES = 3
#: A trial may take so many times as long as the script as it is, step for step, and at least so long in seconds.
PATIENCE, LEAST_PATIENCE = 10.0, 300.0


@dataclass(frozen=True)
class Plan:
    """What is to be found out.

    Attributes:
        script: what is tried.
        cwd: the folder that it was recorded in.
        remedies: those that it was recorded with; every trial has them.
        causes: ids, the verdict first.
        steps: optimizer steps of a trial.
        is_whole: whether the script ends after these by itself: then a trial does, too, with whatever the script evaluates last.
        until_diverged: whether a trial ends as soon as it has diverged. One of a script whose loss came back goes on.
        jobs: trials at a time.
        threads: of each; None leaves that to torch, as in the recording.
    """

    script: Script
    cwd: str
    remedies: tuple[str, ...]
    causes: tuple[str, ...]
    steps: int
    is_whole: bool = False
    until_diverged: bool = True
    jobs: int = 1
    threads: int | None = None


def causes_to_test(diagnosis: Diagnosis, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the first candidate causes of a run that is not healthy: causes, then what less evidence speaks for, then consequences.

    Args:
        diagnosis: of the run.
        asked: ids of causes to test instead. The verdict is tested beside them: what helps may take that away.

    Returns:
        Their ids, the verdict first; none where nothing is asked of a healthy run.
    """
    if asked:
        return tuple(dict.fromkeys([*causes_to_test(diagnosis)[:1], *asked]))
    if diagnosis.verdict.severity == "info":
        return ()
    known = [one for one in diagnosis if one.id in TESTS]
    ranked = sorted(known, key=lambda one: (bool(one.follows_from), one.is_candidate))
    grave = [one.id for one in ranked if one.severity != "info" or one.is_candidate]
    return tuple(dict.fromkeys(grave))[:MOST_CAUSES]


class Confirming(Experiment[str]):
    """The trials of a plan, some of which may have been made before.

    Args:
        plan: what to find out.
        executor: who runs the trials.
        recorded: the recording that the verdict rests on.
        path: the file of trials.
        before: what it holds already, of the same recording and script.
        key: what it belongs to.
        on_trial: told of each trial that ends.
        on_wait: told some times a second which trials run, and for how long.
    """

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        recorded: Run,
        path: Path,
        before: Confirmation | None,
        key: dict[str, str | int],
        on_trial: Callable[[Trial], None],
        on_wait: Callable[[Sequence[tuple[str, float]]], None],
    ) -> None:
        super().__init__(path, plan.jobs, executor)
        self._before: dict[str, Trial] = {one.name: one for one in before.trials if one.status != "failed"} if before else {}
        self.trials = dict(self._before)
        self._plan = plan
        self._recorded = recorded.every_loss
        self._key = key
        self._on_trial = on_trial
        self._on_wait = on_wait
        #: Trials that have to begin by themselves, for forked they failed; and whether the script as it is has shown that it can be forked.
        self._alone: set[str] = set()
        self._can_be_forked = False

    def run(self) -> Confirmation:
        """Make the trials that are missing, and judge.

        Returns:
            All trials and judgements.

        Raises:
            UsageError: another process is at work on the file.
            KeyboardInterrupt: Ctrl-C; what has ended is on disk, and nothing is left running.
        """
        with self.owning_the_file():
            self.make_trials()
            self.trials = self._in_turn()
            return self._save(self.judgements())

    def judgements(self) -> tuple[Judgement, ...]:
        """What the trials made so far say of each cause."""
        return self._judged(self.trials)

    def _judged(self, trials: Mapping[str, Trial]) -> tuple[Judgement, ...]:
        return judge(self._plan.causes, trials, [trials[name] for name in (AS_IS, AGAIN) if name in trials])

    @property
    def is_repeated(self) -> bool:
        """Whether the script, as it is, does again what it did in the recording, loss by loss."""
        made = self.trials.get(AS_IS)
        return made is not None and repeats(made, *self._recorded)

    # -- trials -------------------------------------------------------------------------------------------------------

    def next_order(self) -> str | None:
        """The first trial of use that was not made."""
        running = {name for name, _ in self.under_way}
        return next((name for name in self._wanted(self.trials) if name not in self.trials and name not in running), None)

    def _in_turn(self) -> dict[str, Trial]:
        """Those that are made one at a time, too: which others were begun, and are of no use now, rests on which ended first."""
        kept = dict(self._before)
        while (name := next((one for one in self._wanted(kept) if one not in kept), None)) in self.trials:
            kept[name] = self.trials[name]
        return kept

    def _wanted(self, trials: Mapping[str, Trial]) -> list[str]:
        """Trials that are of use beside those that were made, in order."""
        made = trials.get(AS_IS)
        if made is not None and made.status != "ran":
            return []
        tests = [(cause, test.name) for cause in self._plan.causes for test in trials_of(cause)]
        if not tests:
            return []
        # Whether the script repeats itself must be known before anything is compared with it.
        again = [AGAIN] if made is not None and not repeats(made, *self._recorded) else []
        settled = {one.cause for one in self._judged(trials) if _is_settled(one, trials)} if GENERIC in trials else set()
        return list(dict.fromkeys([AS_IS, *again, GENERIC, *(name for cause, name in tests if cause not in settled)]))

    def trial_of(self, name: str) -> TrialOrder:
        """The trial of that name, with the remedies of the recording."""
        change = Change() if name in (AS_IS, AGAIN) else counterfactual(name).change
        change = Change((*self._plan.remedies, *change.remedies), change.interventions, change.factor)
        plan = self._plan
        steps = plan.steps + plan.is_whole  # one more than it takes: its own end comes first
        return TrialOrder(
            plan.script,
            change,
            steps,
            plan.threads,
            command="confirm",
            compared=True,
            until_diverged=plan.until_diverged,
            cwd=plan.cwd,
        )

    def may_share_start(self, name: str) -> bool:
        """The script as it is may; the others where that repeats the recording, which it may not for what it shared."""
        return not {name, AS_IS} & self._alone and (AS_IS not in self.trials or self.is_repeated)

    def ended(self, name: str, process: RunningTrial) -> None:
        """Judge a trial and keep it. A forked one that failed is made once more by itself: it may have imported torch too early."""
        if process.is_over():
            trial = judge_trial(name, process)
            if trial.status == "failed" and process.is_forked and not self._can_be_forked:
                self._alone.add(name)
                return
            self._can_be_forked |= name == AS_IS and process.is_forked and trial.status == "ran"
        else:
            trial = Trial(
                name, "failed", f"ended after {process.seconds:.0f} s: the script as it is took far less", seconds=process.seconds
            )
        self.trials[name] = trial
        self._save(())
        self._on_trial(trial)

    def waiting(self) -> None:
        """Tell which trials run."""
        self._on_wait([(name, process.seconds) for name, process in self.under_way])

    def takes_too_long(self, process: RunningTrial) -> bool:
        """Whether a trial takes far longer than the script as it is."""
        made = self.trials.get(AS_IS)
        if made is None:
            return False
        expected = made.seconds * self._plan.steps / max(1, made.steps)  # it may have diverged early
        return process.seconds > max(LEAST_PATIENCE, PATIENCE * expected)

    def _save(self, judgements: Sequence[Judgement]) -> Confirmation:
        confirmation = Confirmation(self._key, tuple(self.trials.values()), tuple(judgements))
        write_confirmation(self._path, confirmation)
        return confirmation


def _is_settled(judgement: Judgement, trials: Mapping[str, Trial]) -> bool:
    """Whether no further trial could say anything else of a cause: it is confirmed, or not there."""
    return judgement.word == "confirmed" or (judgement.trial in trials and trials[judgement.trial].is_ruled_out)


def repeats(trial: Trial, steps: NDArray[np.int64], losses: NDArray[np.float64]) -> bool:
    """Whether a trial does again what a recording did, loss by loss, as far as both go, NaN for NaN.

    Args:
        trial: it has a loss of every step from the first on.
        steps: (S,) recorded steps, in order; some may be missing, as before a start that went on from a checkpoint.
        losses: (S,) their losses.

    Returns:
        True where it does.
    """
    if not len(steps) and not trial.loss:  # an optimizer that takes no step
        return True
    places = steps - steps[0] if len(steps) else steps
    common = places < len(trial.loss)
    made = np.array(trial.loss, dtype=float)[places[common]]
    return bool(common.any()) and np.array_equal(made, losses[common].astype(float), equal_nan=True)
