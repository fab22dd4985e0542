"""One attempt at a trial on a worker, started with a FOLDER that it shares with the experiment for its only argument.

A file is all that both know of each other, so that whatever starts a command on another machine can carry trials:

- ``order.json``: the trial, and where the experiment shows that it is alive; written before the attempt starts;
- ``taken``: made by who takes the attempt, which the file system gives to one only: a scheduler that starts the command a second time, or
  too late, starts nothing;
- ``beat``: a number that grows while the attempt lives;
- ``stop``: made by the experiment; the attempt then ends its trial;
- ``trial``: what the trial leaves;
- ``ended.json``: exit status and seconds of a trial that ended by itself, replaced as a whole;
- ``gone``: made last; nothing of the attempt runs any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.process import TrialProcess

ORDER, TAKEN, BEAT, STOP, TRIAL, ENDED, GONE = "order.json", "taken", "beat", "stop", "trial", "ended.json", "gone"
#: Seconds between two beats, and after which without one the other side is taken to be dead: shared file systems show files late.
BEAT_SECONDS, SILENT_SECONDS = 2.0, 60.0
_POLL_SECONDS = 0.05
#: Whoever ends a worker sends SIGTERM to all its processes at once: the trial may be seen to end before this one is told.
_TOLD_SECONDS = 0.5
_PARENT_DEATH_SIGNAL = 1


class WorkerEnds(BaseException):
    """The worker is being ended from outside; the trial has no outcome."""


class Pulse:
    """A file with a number that grows as long as its writer lives; written and looked at every few seconds.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._written = -BEAT_SECONDS
        self._seen = ""
        self._looked = self._changed = time.monotonic()

    def beat(self) -> None:
        """Write the next number, if it is time."""
        now = time.monotonic()
        if now - self._written < BEAT_SECONDS:
            return
        self._written, self._number = now, self._number + 1
        with contextlib.suppress(OSError):  # a full disk, a folder that is gone: the other side sees no beat
            replace_file(self._path, str(self._number))

    def is_silent(self) -> bool:
        """Whether the number has not grown for too long, by the clock of who looks."""
        now = time.monotonic()
        if now - self._looked >= BEAT_SECONDS:
            self._looked = now
            found = ""
            with contextlib.suppress(OSError):
                found = self._path.read_text()
            if found and found != self._seen:
                self._seen, self._changed = found, now
        return now - self._changed > SILENT_SECONDS


def replace_file(path: Path, text: str) -> None:
    """Write a file that others find whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def take(folder: Path) -> bool:
    """Take an attempt.

    Returns:
        False where another has it.
    """
    try:
        os.close(os.open(folder / TAKEN, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def main() -> None:
    """Make the attempt; the exit status is 0 where the trial ended by itself, whatever its own."""
    folder = Path(sys.argv[1])
    _end_with_the_worker()
    try:
        document = json.loads((folder / ORDER).read_text(encoding="utf-8"))
        is_mine = take(folder)
    except OSError as error:
        sys.exit(f"bnprobe: this worker cannot use the folder of the experiment: {error}")
    if not is_mine:
        sys.exit(f"bnprobe: {folder} was taken before")
    try:
        has_ended = _run(TrialOrder.from_json(document["trial"]), folder, Pulse(Path(document["alive"])))
    except WorkerEnds:
        has_ended = False
    finally:
        with contextlib.suppress(OSError):
            (folder / GONE).touch()
    sys.exit(0 if has_ended else 1)


def _run(order: TrialOrder, folder: Path, experiment: Pulse) -> bool:
    """Run the trial; return whether it ended by itself."""
    own = Pulse(folder / BEAT)
    process = TrialProcess(order, folder / TRIAL)
    try:
        while not process.is_over():
            own.beat()
            if (folder / STOP).exists() or not (folder / ORDER).exists() or experiment.is_silent():
                return False
            time.sleep(_POLL_SECONDS)
        seconds = process.seconds
        if process.exit_status != 0:
            time.sleep(_TOLD_SECONDS)
    finally:
        process.end()  # with what it has left behind
    replace_file(folder / ENDED, json.dumps({"exit_status": process.exit_status, "seconds": seconds}))
    return True


def _end_with_the_worker() -> None:
    """Be told when the worker ends this process, or ends; Ctrl-C at a terminal is for the experiment, which says what follows."""

    def told(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise WorkerEnds

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
