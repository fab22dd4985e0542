"""The loop that makes trials, with trials that are over at once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.experiment import Experiment
from bnprobe.experiments.held_signals import signals_held
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.running_trial import RunningTrial


class Made(RunningTrial):
    seconds, exit_status = 1.0, 0

    def __init__(self, number: int, told: list[str], folder: Path, is_done: bool) -> None:
        self._number, self._told, self._folder, self._is_done = number, told, folder, is_done

    @property
    def folder(self) -> Path:
        return self._folder

    def is_over(self) -> bool:
        return self._is_done

    def ask_to_end(self) -> None:
        self._told.append(f"asked {self._number}")

    def end(self) -> None:
        self._told.append(f"ended {self._number}")
        if not self._is_done and self._number == 2:
            raise OSError("the scheduler does not answer")

    def clear(self) -> None:
        self._told.append(f"cleared {self._number}")


class Recorded(Executor):
    """Writes down what it is asked for; trials end at once, or never."""

    def __init__(self, are_done: bool, is_interrupted: bool = False) -> None:
        self.told: list[str] = []
        self._is_interrupted = is_interrupted
        self._are_done = are_done

    def start(self, order: TrialOrder, folder: Path) -> RunningTrial:
        number = int(order.script.arguments[0])
        if self._is_interrupted:
            signal.raise_signal(signal.SIGINT)
        self.told.append(f"started {number}")
        return Made(number, self.told, folder, self._are_done)

    def beat(self, folder: Path) -> None:
        self.told.append("beat")

    def close(self) -> None:
        pass


class Numbered(Experiment[int]):
    def __init__(self, path: Path, executor: Executor) -> None:
        super().__init__(path, 3, executor)
        self._left = [1, 2, 3]

    def next_order(self) -> int | None:
        return self._left.pop(0) if self._left else None

    def trial_of(self, order: int) -> TrialOrder:
        return TrialOrder(Script("train.py", False, (str(order),)), Change(), None, 1, command="lr-limit")

    def ended(self, order: int, trial: RunningTrial) -> None:
        pass

    def waiting(self) -> None:
        raise KeyboardInterrupt


def test_it_shows_that_it_lives_before_each_trial_that_it_starts_and_judges(tmp_path: Path) -> None:
    executor = Recorded(are_done=True)
    Numbered(tmp_path / "results.h5", executor).make_trials()
    before = [executor.told[place - 1] for place, what in enumerate(executor.told) if what.split()[0] in ("started", "ended")]
    assert before == ["beat"] * 6


def test_what_was_started_as_ctrl_c_came_is_ended(tmp_path: Path) -> None:
    executor = Recorded(are_done=False, is_interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        Numbered(tmp_path / "results.h5", executor).make_trials()
    assert executor.told == ["beat", "beat", "started 1", "asked 1", "ended 1", "cleared 1"]


def test_a_second_ctrl_c_does_not_wait() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), signals_held():
        signal.raise_signal(signal.SIGINT)
        reached.append("after one")
        signal.raise_signal(signal.SIGINT)
        reached.append("after two")
    assert reached == ["after one"]


def test_a_trial_that_cannot_be_ended_keeps_none_of_the_others(tmp_path: Path) -> None:
    executor = Recorded(are_done=False)
    with pytest.raises(OSError, match="does not answer") as told:
        Numbered(tmp_path / "results.h5", executor).make_trials()
    assert isinstance(told.value.__context__, KeyboardInterrupt)
    asked, rest = executor.told[-9:-6], executor.told[-6:]
    assert sorted(asked) == ["asked 1", "asked 2", "asked 3"]
    assert sorted(rest) == sorted(f"{what} {number}" for what in ("ended", "cleared") for number in (1, 2, 3))


class Plain(Made):
    """A trial that shows that others may be forked."""

    has_plain_start = True


class Forking(Recorded):
    def start(self, order: TrialOrder, folder: Path) -> RunningTrial:
        super().start(order, folder)
        return Plain(0, self.told, folder, True)

    def share_start(self, is_shared: bool) -> None:
        self.told.append(f"shared: {is_shared}")


def test_trials_share_their_start_once_one_has_shown_that_they_may(tmp_path: Path) -> None:
    class Sharing(Numbered):
        def may_share_start(self, order: int) -> bool:
            return self.can_share_start

    executor = Forking(are_done=True)
    experiment = Sharing(tmp_path / "results.h5", executor)
    experiment._jobs = 1
    experiment.make_trials()
    assert [line for line in executor.told if line.startswith("shared")] == ["shared: False", "shared: True", "shared: True"]
