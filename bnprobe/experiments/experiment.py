"""Trials made a few at a time, each kept as it ends; however an experiment ends, no process and no folder of it is left."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.held_signals import signals_held
from bnprobe.experiments.lock import owned_folder
from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.running_trial import RunningTrial

Order = TypeVar("Order")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Standing(Generic[Order]):
    """How far an experiment has come.

    Attributes:
        done: trials that have ended.
        expected: trials in all, as far as can be foreseen.
        running: those under way.
        seconds_left: time that the rest will take, NaN as long as nothing is known.
    """

    done: int
    expected: int
    running: Sequence[Order]
    seconds_left: float


class Experiment(ABC, Generic[Order]):
    """A plan whose next trial depends on those that have ended. An order is what tells one trial from all others.

    Args:
        path: the file of results; the trials' folder lies beside it.
        jobs: trials at a time.
        executor: who runs them.
    """

    def __init__(self, path: Path, jobs: int, executor: Executor) -> None:
        self._path = path
        self._jobs = jobs
        self._executor = executor
        self._folder = path.with_name(f".{path.name}.trials")
        self._running: list[tuple[Order, RunningTrial]] = []
        self._started = 0
        self._can_share_start = False

    @abstractmethod
    def next_order(self) -> Order | None:
        """Which trial to start now; None where there is none, for good or until one of those under way has ended."""

    @abstractmethod
    def trial_of(self, order: Order) -> TrialOrder:
        """What is to be run for an order."""

    @abstractmethod
    def ended(self, order: Order, trial: RunningTrial) -> None:
        """Judge a trial and keep it; its folder is removed after that. It is over, or was given up."""

    @abstractmethod
    def waiting(self) -> None:
        """Say how far things have come; called some times a second."""

    def takes_too_long(self, trial: RunningTrial) -> bool:
        """Whether a trial is to be given up."""
        return False

    def may_share_start(self, order: Order) -> bool:
        """Whether a trial may begin with what others have imported; false for those whose time or memory is told."""
        return False

    @property
    def can_share_start(self) -> bool:
        """Whether a trial that began by itself has shown that the script imports torch with the variables that it was given."""
        return self._can_share_start

    @property
    def under_way(self) -> Sequence[tuple[Order, RunningTrial]]:
        """The trials that run now."""
        return self._running

    @contextmanager
    def owning_the_file(self) -> Iterator[None]:
        """Keep a second command off the same file.

        Yields:
            While it is owned.

        Raises:
            UsageError: another process is at work on the file.
        """
        with owned_folder(self._folder, str(self._path)):
            yield

    def make_trials(self) -> None:
        """Make all that are wanted. Whatever interrupts this, what has ended is kept and nothing is left running."""
        with ExitStack() as at_the_end:
            at_the_end.callback(self._end_all, at_the_end)
            self._executor.beat(self._folder)
            while self._fill():
                self._wait()

    def _end_all(self, last_first: ExitStack) -> None:
        """Have the trials under way ended and removed; one that cannot be ended keeps none of the others."""
        for _, trial in self._running:
            last_first.callback(trial.clear)
            last_first.callback(trial.end)
        for _, trial in self._running:
            last_first.callback(trial.ask_to_end)
        self._running.clear()

    def _fill(self) -> bool:
        """Start what can be started; return whether anything is under way."""
        while len(self._running) < self._jobs:
            order = self.next_order()
            if order is None:
                break
            self._executor.beat(self._folder)  # it may take long to start, judge and end many
            self._started += 1
            trial = self.trial_of(order)
            self._executor.share_start(self.may_share_start(order))
            self._executor.prepare(trial)
            with signals_held():
                self._running.append((order, self._executor.start(trial, self._folder / f"trial-{self._started}")))
        return bool(self._running)

    def _wait(self) -> None:
        """Wait for the next trial to end, and keep it."""
        while not (over := [one for one in self._running if one[1].is_over() or self.takes_too_long(one[1])]):
            self.waiting()
            self._executor.beat(self._folder)
            time.sleep(_POLL_SECONDS)
        for one in over:
            order, trial = one
            self._executor.beat(self._folder)
            self._running.remove(one)
            self._can_share_start |= trial.has_plain_start
            try:
                self.ended(order, trial)
            finally:
                trial.end()
                trial.clear()
