"""Trials on workers elsewhere: each attempt is a command that a scheduler starts, in a folder that both sides see.

A worker may be lost at any moment, or come back after it was given up. An attempt has a folder of its own, only one process can take it
(``attempt.take``), and the outcome of a trial is read from the one attempt that is under way: a trial that was lost is made again, and none
is counted twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from abc import ABC, abstractmethod
from pathlib import Path

from bnprobe import start
from bnprobe.errors import BnprobeError
from bnprobe.experiments.executors.attempt import BEAT, ENDED, GONE, ORDER, STOP, TAKEN, TRIAL, Pulse, replace_file, take
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.held_signals import signals_held
from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.running_trial import RunningTrial

#: Workers that a trial may lose.
MOST_ATTEMPTS = 3
#: The file that shows workers that the experiment lives.
ALIVE = "alive"
_POLL_SECONDS = 0.2
#: What a worker wrote last may be seen so much later on a shared file system.
_SETTLE_SECONDS = 2.0
#: Time that a worker gets to end its trial; its own patience with the trial is less.
_GRACE_SECONDS = 15.0
_LOST_STATUS = -9


class Job(ABC):
    """A command that a scheduler was given."""

    @abstractmethod
    def is_over(self) -> bool:
        """Whether it runs no more, or never will."""

    @abstractmethod
    def why(self) -> str:
        """What the scheduler says of a job that is over, in a few words; "" for nothing."""

    @abstractmethod
    def cancel(self) -> None:
        """Have it end, or never begin."""


class Scheduler(ABC):
    """Starts commands on workers."""

    @abstractmethod
    def submit(self, command: list[str], order: TrialOrder, folder: Path) -> Job:
        """Have a command started once, on a worker that has room for the trial.

        Args:
            command: the words.
            order: the trial; it says in which folder to run, and how many threads it wants.
            folder: of the attempt: files of the scheduler may lie there.

        Returns:
            The job.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the scheduler; no job of it runs any more."""


class RemoteExecutor(Executor):
    """Has trials run by a scheduler.

    Args:
        scheduler: which one; closed with the executor.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._pulse: Pulse | None = None

    def start(self, order: TrialOrder, folder: Path) -> RemoteTrial:
        """Submit the first attempt of a trial."""
        return RemoteTrial(self._scheduler, order, folder.absolute())

    def beat(self, folder: Path) -> None:
        """Show the workers that the experiment lives."""
        if self._pulse is None:
            self._pulse = Pulse(folder.absolute() / ALIVE)
        self._pulse.beat()

    def close(self) -> None:
        """Let go of the scheduler."""
        self._scheduler.close()


class _Attempt:
    """One attempt, seen from the experiment."""

    def __init__(self, scheduler: Scheduler, order: TrialOrder, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        replace_file(folder / ORDER, json.dumps({"trial": order.to_json(), "alive": str(folder.parents[1] / ALIVE)}))
        self.job = scheduler.submit([*start.command("bnprobe.experiments.executors.attempt"), str(folder)], order, folder)
        self.began: float | None = None
        self._beat = Pulse(folder / BEAT)
        self._over_since: float | None = None
        self._never_starts = False

    def names(self) -> set[str]:
        """What lies in the folder. It is listed, which asks the server of a shared file system; a single name may be remembered."""
        with contextlib.suppress(OSError):
            return set(os.listdir(self.folder))
        return set()

    def outcome(self) -> tuple[int, float] | None:
        """Exit status and seconds, where the trial has ended by itself."""
        names = self.names()
        if self.began is None and TAKEN in names:
            self.began = time.monotonic()
            self._beat = Pulse(self.folder / BEAT)
        if ENDED not in names:
            return None
        found = json.loads((self.folder / ENDED).read_text(encoding="utf-8"))
        return int(found["exit_status"]), float(found["seconds"])

    def is_lost(self) -> bool:
        """Whether nothing will come of it any more; to be asked where there was no outcome just now."""
        if self.began is not None and self._beat.is_silent():
            return True
        if not self.job.is_over():
            return False
        if self._over_since is None:
            self._over_since = time.monotonic()
            return False  # its outcome may have come since it was looked for
        return time.monotonic() - self._over_since > _SETTLE_SECONDS

    def give_up(self) -> None:
        """Keep it from starting, or ask it to end."""
        with contextlib.suppress(OSError):
            (self.folder / STOP).touch()
            if take(self.folder):
                self._never_starts = True

    def wait_until_gone(self, patience: float) -> None:
        """Wait until nothing of it runs; a job that does not end by itself, or has not begun, is cancelled."""
        if not self._never_starts:
            deadline = time.monotonic() + patience
            while GONE not in self.names():
                if self.job.is_over() or time.monotonic() > deadline:
                    break
                time.sleep(_POLL_SECONDS / 4)
            else:
                return  # its command is about to return; to cancel it would cost a worker that can be used again
        self.job.cancel()


class RemoteTrial(RunningTrial):
    """A trial on a worker; where that is lost, on another one.

    Args:
        scheduler: starts the commands.
        order: the trial.
        folder: its own, new; removed by ``clear``.
    """

    def __init__(self, scheduler: Scheduler, order: TrialOrder, folder: Path) -> None:
        self._scheduler = scheduler
        self._order = TrialOrder(**{**order.__dict__, "cwd": order.cwd or os.getcwd()})  # that of a worker is another
        self._folder = folder
        self._attempts = [self._next_attempt(1)]
        self._outcome: tuple[int, float] | None = None
        self._looked = -_POLL_SECONDS
        self._is_ended = False

    def _next_attempt(self, number: int) -> _Attempt:
        # A name that no other has: workers of a command that was killed may still look for theirs, and must not find this one's.
        return _Attempt(self._scheduler, self._order, self._folder / f"attempt-{number}-{uuid.uuid4().hex[:12]}")

    @property
    def folder(self) -> Path:
        """Where the attempt that counts leaves its results."""
        return self._attempts[-1].folder / TRIAL

    @property
    def seconds(self) -> float:
        """Time that the attempt that counts took, or has taken; 0 while it waits for a worker."""
        if self._outcome is not None:
            return self._outcome[1]
        began = self._attempts[-1].began
        return time.monotonic() - began if began is not None else 0.0

    def is_over(self) -> bool:
        """Replace a lost worker by another one.

        Returns:
            Whether there is an outcome.

        Raises:
            BnprobeError: too many were lost.
        """
        if self._outcome is None and time.monotonic() - self._looked >= _POLL_SECONDS:
            self._look()
            self._looked = time.monotonic()
        return self._outcome is not None

    def _look(self) -> None:
        attempt = self._attempts[-1]
        self._outcome = attempt.outcome()
        if self._outcome is not None or not attempt.is_lost():
            return
        why = attempt.job.why()
        attempt.give_up()
        if len(self._attempts) < MOST_ATTEMPTS:
            attempt.job.cancel()
            with signals_held():
                self._attempts.append(self._next_attempt(len(self._attempts) + 1))
            return
        raise BnprobeError(
            f"a trial lost {MOST_ATTEMPTS} workers{f' ({why})' if why else ''}: that says nothing of what it tries",
            f"every worker has to see {self._folder.parent}; the same command goes on with what has ended",
        )

    @property
    def attempts(self) -> int:
        """Workers that were given the trial so far."""
        return len(self._attempts)

    @property
    def exit_status(self) -> int:
        """Of the trial's process; that of SIGKILL where it was given up."""
        return self._outcome[0] if self._outcome is not None else _LOST_STATUS

    def ask_to_end(self) -> None:
        """Ask all attempts to end, those too that were given up."""
        if self._outcome is None:
            for attempt in self._attempts:
                attempt.give_up()

    def end(self) -> None:
        """End the trial, and wait until nothing of it runs."""
        if self._is_ended:
            return
        self._is_ended = True
        self.ask_to_end()
        for attempt in self._attempts[:-1]:
            attempt.wait_until_gone(0.0)  # a lost one gets no more time
        self._attempts[-1].wait_until_gone(_GRACE_SECONDS)

    def clear(self) -> None:
        """Remove what all attempts left."""
        shutil.rmtree(self._folder, ignore_errors=True)
