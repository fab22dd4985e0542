"""Trials that begin with torch imported: the side of the process that waits for them (``bnprobe.launch.warm_start`` is the other)."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnprobe import start
from bnprobe.experiments.held_signals import signals_held

_BECOME_THE_PARENT = 36  # PR_SET_CHILD_SUBREAPER
_POLL_SECONDS = 0.01
#: How long torch may take to be imported, and a fork to be made.
_IMPORT_SECONDS, _ANSWER_SECONDS = 300.0, 30.0


class ForkedProcess:
    """A child that another process has forked for this one; to be waited for like ``subprocess.Popen``.

    Args:
        pid: its number.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, negative where a signal ended it; None as long as it runs."""
        if self._status is None:
            try:
                done, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                done, status = self.pid, 0
            self._status = os.waitstatus_to_exitcode(status) if done else None
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Returns:
            The exit status.

        Raises:
            subprocess.TimeoutExpired: it has not, after so many seconds.
        """
        latest = time.monotonic() + timeout if timeout is not None else None
        while (status := self.poll()) is None:
            if latest is not None and time.monotonic() > latest:
                raise subprocess.TimeoutExpired("a trial", timeout or 0.0)
            time.sleep(_POLL_SECONDS)
        return status


class WarmStart:
    """A process that has imported torch; it is started with the first trial and ended by ``close``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._variables: Mapping[str, str] = {}
        #: Why trials begin by themselves; "" where they need not.
        self.refusal = "" if _can_hand_on_children() else "this system cannot hand on children"

    def begin(self, order: str, output: Path, cwd: str | None, variables: Mapping[str, str]) -> ForkedProcess | None:
        """Begin a trial.

        Args:
            order: what ``bnprobe.launch.trial`` is given.
            output: where it writes what the script says.
            cwd: its folder; None is that of this process.
            variables: its environment, which torch was imported with, too.

        Returns:
            The trial; None where it has to be started by itself.
        """
        self.start(variables)
        if self.refusal or self._process is None or variables != self._variables:
            return None
        work = {"order": order, "output": str(output.absolute()), "cwd": cwd, "environment": dict(variables)}
        answer = self._ask(json.dumps(work))
        return ForkedProcess(int(answer["pid"])) if "pid" in answer else None

    def start(self, variables: Mapping[str, str]) -> None:
        """Have torch imported, which takes seconds, if that was not done before. It may be interrupted; ``close`` has to follow.

        Args:
            variables: the environment that it is imported with.
        """
        if self._process is not None or self.refusal:
            return
        ctypes.CDLL(None).prctl(_BECOME_THE_PARENT, 1)
        self._variables = dict(variables)
        with signals_held():
            self._process = subprocess.Popen(
                [*start.command("bnprobe.launch.warm_start"), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._variables,
                text=True,
                start_new_session=True,
            )
        self.refusal = "it was interrupted"
        self.refusal = str(self._read(_IMPORT_SECONDS).get("refusal", "it could not be started"))

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            self.refusal = "it has died"
            return {}
        return self._read(_ANSWER_SECONDS)

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.refusal = f"it has not answered for {seconds:g} s"
            return {"refusal": self.refusal}
        try:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except ValueError:
            self.refusal = "it has died"
            return {"refusal": self.refusal}
        return answer

    def close(self) -> None:
        """End it; trials that run go on."""
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.terminate()
        self._process.wait()
        self._process = None


def _can_hand_on_children() -> bool:
    """Whether a process of this system can take over the children of another, and tell of its threads."""
    return sys.platform == "linux" and Path("/proc/self/task").is_dir()
