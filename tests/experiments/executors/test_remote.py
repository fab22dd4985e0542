"""Attempts on workers, with processes of this machine for workers: what is taken, retried, given up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnprobe.errors import BnprobeError
from bnprobe.experiments.executors import attempt, remote
from bnprobe.experiments.executors.remote import Job, RemoteExecutor, Scheduler
from bnprobe.experiments.order import Change, Script, TrialOrder

SAYS = "import sys; print('number', sys.argv[1]); sys.exit(3)"


class Process(Job):
    def __init__(self, command: list[str], folder: Path) -> None:
        self.popen = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        self.is_cancelled = False

    def is_over(self) -> bool:
        return self.popen.poll() is not None

    def why(self) -> str:
        return f"status {self.popen.wait()}"

    def cancel(self) -> None:
        self.is_cancelled = True
        self.popen.terminate()


class Processes(Scheduler):
    """Starts each command at once; with ``broken``, one that fails in its place."""

    def __init__(self, broken: int = 0) -> None:
        self.jobs: list[Process] = []
        self.commands: list[list[str]] = []
        self._broken = broken

    def submit(self, command: list[str], order: TrialOrder, folder: Path) -> Job:
        self.commands.append(command)
        words = [sys.executable, "-c", "raise SystemExit(7)"] if len(self.jobs) < self._broken else command
        self.jobs.append(Process(words, folder))
        return self.jobs[-1]

    def close(self) -> None:
        for job in self.jobs:
            job.popen.kill()
            job.popen.wait()


class Never(Job):
    """Waits in a queue."""

    is_cancelled = False

    def is_over(self) -> bool:
        return self.is_cancelled

    def why(self) -> str:
        return ""

    def cancel(self) -> None:
        self.is_cancelled = True


class Queue(Scheduler):
    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.job = Never()

    def submit(self, command: list[str], order: TrialOrder, folder: Path) -> Job:
        self.commands.append(command)
        return self.job

    def close(self) -> None:
        pass


def order_of(folder: Path) -> TrialOrder:
    (folder / "trial.py").write_text(SAYS)
    return TrialOrder(Script(str(folder / "trial.py"), False, ("5",)), Change(), None, 1, command="lr-limit", cwd=str(folder))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(remote, "_POLL_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
def test_a_trial_that_lost_a_worker_has_the_outcome_of_the_next(tmp_path: Path) -> None:
    scheduler = Processes(broken=1)
    executor = RemoteExecutor(scheduler)
    (tmp_path / "trials").mkdir()
    executor.beat(tmp_path / "trials")
    trial = executor.start(order_of(tmp_path), tmp_path / "trials" / "trial-1")
    try:
        while not trial.is_over():
            time.sleep(0.02)
        assert (trial.attempts, trial.exit_status) == (2, 3)
        assert "number 5" in trial.output() and trial.seconds > 0
        trial.end()
        again = subprocess.run(scheduler.commands[1], capture_output=True, text=True, check=False)
        assert again.returncode == 1 and "was taken before" in again.stderr, "started a second time, it starts nothing"
        trial.clear()
        assert not list((tmp_path / "trials").glob("trial*"))
        late = subprocess.run(scheduler.commands[0], capture_output=True, text=True, check=False)
        assert late.returncode == 1 and "cannot use the folder" in late.stderr
    finally:
        executor.close()


@pytest.mark.usefixtures("quick")
def test_a_trial_that_no_worker_can_make_has_no_outcome_and_ends_the_experiment(tmp_path: Path) -> None:
    executor = RemoteExecutor(Processes(broken=9))
    trial = executor.start(order_of(tmp_path), tmp_path / "trial-1")
    with pytest.raises(BnprobeError, match=r"a trial lost 3 workers \(status 7\)") as told:
        while not trial.is_over():
            time.sleep(0.02)
    assert told.value.hint is not None and str(tmp_path) in told.value.hint and "the same command goes on" in told.value.hint
    assert trial.attempts == remote.MOST_ATTEMPTS
    trial.end()
    trial.clear()
    assert not (tmp_path / "trial-1").exists()
    executor.close()


def test_what_was_given_up_in_the_queue_is_cancelled_and_can_never_start(tmp_path: Path) -> None:
    scheduler = Queue()
    trial = RemoteExecutor(scheduler).start(order_of(tmp_path), tmp_path / "trial-1")
    assert not trial.is_over() and trial.seconds == 0.0
    trial.ask_to_end()
    trial.end()
    assert scheduler.job.is_cancelled
    assert not attempt.take(trial.folder.parent)


def test_the_other_side_is_dead_when_its_number_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(attempt.time, "monotonic", lambda: clock[0])
    writer, looks = attempt.Pulse(tmp_path / "beat"), attempt.Pulse(tmp_path / "beat")
    for clock[0] in range(0, 200, 2):
        writer.beat()
        assert not looks.is_silent()
    for clock[0] in range(200, 256, 2):
        assert not looks.is_silent(), "files are seen late"
    clock[0] = 300
    assert looks.is_silent()
    writer.beat()
    clock[0] = 302
    assert not looks.is_silent()
