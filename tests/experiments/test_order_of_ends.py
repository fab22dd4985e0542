"""Which trials an experiment makes does not rest on which ended first: the same file on any machine, with any number of jobs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bnprobe.analyse.comparison import Terms
from bnprobe.experiments import experiment
from bnprobe.experiments.comparison import plan as comparison
from bnprobe.experiments.comparison.comparing import Comparing
from bnprobe.experiments.confirm import Confirming
from bnprobe.experiments.confirm import Plan as ConfirmPlan
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.limits import search
from bnprobe.experiments.limits.judge import Assignment
from bnprobe.experiments.order import Script, TrialOrder
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.store.comparison_file import WHOLE
from bnprobe.store.confirm_file import Trial as ConfirmTrial
from tests import comparison_trials, limit_trials
from tests.synthetic_runs import residual_recording

RECORDED = residual_recording(steps=40).run()
SCRIPT = Script("train.py", False, ())
CAUSES = ("learning-rate-too-low", "mean-shift", "exploding-activations", "learning-rate-too-high")
#: The first place on the grid that is too fast, of which technique and seed.
LIMITS = {("NONE", 0): 6, ("NONE", 1): 2, ("NONE", 2): 7, ("msr", 0): 3, ("msr", 1): 9, ("msr", 2): 3}


class EndsSometime(RunningTrial):
    seconds, exit_status = 1.0, 0

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self._chance, self._folder = chance, folder

    @property
    def folder(self) -> Path:
        return self._folder

    def is_over(self) -> bool:
        return self._chance.random() < 0.3

    def ask_to_end(self) -> None:
        pass

    def end(self) -> None:
        pass

    def clear(self) -> None:
        pass


class InAnyOrder(Executor):
    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def start(self, order: TrialOrder, folder: Path) -> RunningTrial:
        return EndsSometime(self._chance, folder)

    def beat(self, folder: Path) -> None:
        pass

    def close(self) -> None:
        pass


class SimulatedSearches(search.Searches):
    def ended(self, assignment: Assignment, process: RunningTrial) -> None:
        outcome = "trains" if assignment.grid_index < LIMITS[assignment.remedy, assignment.seed] else "diverges"
        self.trials.append(limit_trials.trial(assignment.grid_index, outcome, assignment.remedy, assignment.seed))


class SimulatedComparing(Comparing):
    def ended(self, assignment: comparison.Assignment, process: RunningTrial) -> None:
        technique, seed, place = assignment.technique, assignment.seed, assignment.grid_index
        outcome = "trains" if place < LIMITS[technique, seed] else "diverges"
        loss = 1.0 + abs(place - LIMITS[technique, 0] + 3)
        self.trials.append(comparison_trials.trial(place, outcome, loss, technique, seed, length=assignment.length))


def searched(path: Path, jobs: int, seed: int) -> set[tuple[object, ...]]:
    plan = search.Plan(SCRIPT, ("NONE", "msr"), 3, 50, None, jobs, 1)
    made = SimulatedSearches(plan, InAnyOrder(seed), path, {}, [], [], lambda trial: None, lambda standing: None)
    made.make_trials()
    return {(one.remedy, one.seed, one.grid_index) for one in made.trials}


def compared(path: Path, jobs: int, seed: int) -> set[tuple[object, ...]]:
    plan = comparison.Plan(SCRIPT, Terms(("NONE", "msr"), 3, WHOLE, 50), jobs, 1)
    made = SimulatedComparing(plan, InAnyOrder(seed), path, {}, [], lambda trial: None, lambda standing: None)
    made.make_trials()
    return {(one.remedy, one.seed, one.grid_index, one.length) for one in made.trials}


class SimulatedConfirming(Confirming):
    def ended(self, name: str, process: RunningTrial) -> None:
        losses = tuple(RECORDED.every_loss[1].tolist())
        helps = name in ("ten times the rate", "a thousand times the rate", "batch-norm")
        late, level = (0.3, 2) if helps else (2.0, 0)
        found = () if helps else CAUSES
        self.trials[name] = ConfirmTrial(
            name, "ran", level=level, steps=len(losses), start=2.0, late=late, noise=0.01, loss=losses, findings=found
        )


def confirmed(path: Path, jobs: int, seed: int) -> list[tuple[object, ...]]:
    plan = ConfirmPlan(SCRIPT, str(path.parent), (), CAUSES, 20, jobs=jobs)
    result = path.with_name(f"{jobs}-{seed}.confirm.json")
    made = SimulatedConfirming(plan, InAnyOrder(seed), RECORDED, result, None, {}, lambda trial: None, lambda running: None).run()
    assert {one.word for one in made.judgements} > {"confirmed"}
    return [*((one.name,) for one in made.trials), *((one.cause, one.word, one.reason) for one in made.judgements)]


@pytest.mark.parametrize("trials_of", [searched, compared, confirmed])
def test_the_same_trials_whichever_ends_first(trials_of: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(trials_of)
    monkeypatch.setattr(experiment, "_POLL_SECONDS", 0.0)
    one_by_one = trials_of(tmp_path / "results.h5", 1, 0)
    assert len(one_by_one) > 10
    for jobs in (2, 3, 8):
        for seed in range(8):
            assert trials_of(tmp_path / "results.h5", jobs, seed) == one_by_one
