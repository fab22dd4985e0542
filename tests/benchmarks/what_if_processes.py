"""Programs in processes of their own, forked from one that has imported torch: for the benchmarks of the what-if."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def in_child(work: Callable[[], None], folder: Path, timeout: float = 900.0) -> tuple[int, str]:
    """Run something in a forked process; return its status and what it printed."""
    import signal
    import time

    printed = folder / "stdout"
    child = os.fork()
    if child == 0:
        leave = os._exit
        status = 1
        for number, path in ((1, printed), (2, folder / "stderr")):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
        workplace = folder / "work"
        workplace.mkdir(exist_ok=True)
        os.chdir(workplace)
        try:
            work()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        import atexit
        import threading

        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        leave(status)
    deadline = time.monotonic() + timeout
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), printed.read_text(errors="replace")
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = math.inf
        time.sleep(0.01)


class Listener:
    """Tells of faults."""

    def fault(self, error: Exception) -> None:
        print(f"fault: {type(error).__name__}: {error}", file=sys.stderr)

    def ended(self, *anything: Any) -> None:
        pass

    def replaced(self, *anything: Any) -> None:
        pass

    def not_replaced(self) -> None:
        pass

    def left_alone(self, *anything: Any) -> None:
        pass


def plain(script: Path, arguments: list[str]) -> None:
    """Run a program as it is."""
    from bnprobe.launch.session import run_plainly
    from bnprobe.launch.target import Target

    run_plainly(Target(str(script), False, tuple(arguments)))


def made(folder: Path) -> Path:
    """Return a folder that is there."""
    folder.mkdir(exist_ok=True)
    return folder
