"""Trials that begin with torch imported: the side of the process that waits for them (``bnprobe.launch.warm_start`` is the other)."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnprobe import start

_BECOME_THE_PARENT = 36  # PR_SET_CHILD_SUBREAPER
_POLL_SECONDS = 0.01


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
        if self._process is None and not self.refusal:
            self._start(variables)
        if self.refusal or self._process is None or variables != self._variables:
            return None
        work = {"order": order, "output": str(output.absolute()), "cwd": cwd, "environment": dict(variables)}
        answer = self._ask(json.dumps(work))
        return ForkedProcess(int(answer["pid"])) if "pid" in answer else None

    def _start(self, variables: Mapping[str, str]) -> None:
        ctypes.CDLL(None).prctl(_BECOME_THE_PARENT, 1)
        self._variables = dict(variables)
        self._process = subprocess.Popen(
            [*start.command("bnprobe.launch.warm_start"), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._variables,
            text=True,
            start_new_session=True,
        )
        self.refusal = str(self._read().get("refusal", "it could not be started"))

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            self.refusal = "it has died"
            return {}
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
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
