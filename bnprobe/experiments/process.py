"""One trial as a process: started, waited for, ended with all that it has started, and never able to outlive its purpose."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bnprobe import start

#: Time that a process gets to end when it is asked to.
GRACE_SECONDS = 2.0
LAST_LINES = 15
_LONGEST_LINE = 300


@dataclass(frozen=True)
class Script:
    """What is tried: a script or module with its arguments."""

    name: str
    is_module: bool
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What a trial changes about the script's training; the defaults change nothing.

    Attributes:
        remedies: specifications of remedies, in order.
        interventions: names of interventions.
        factor: on every learning rate.
        seed: 0 is the script as it is.
    """

    remedies: tuple[str, ...] = ()
    interventions: tuple[str, ...] = ()
    factor: float = 1.0
    seed: int = 0


class TrialProcess:
    """A trial under way.

    Args:
        script: what is tried.
        change: what is changed about it.
        steps: optimizer steps; None lets the script end.
        folder: its own, new; removed by ``clear``.
        threads: that torch may use, unless the environment says otherwise; None leaves that to torch.
        command: for whom the trial is made.
        probes: whether the recording shall predict a limit, too.
        compared: whether it shall hold what trainings are compared by: evaluations, costs.
        cwd: the folder that the script runs in; None is this process's own.
    """

    def __init__(
        self,
        script: Script,
        change: Change,
        steps: int | None,
        folder: Path,
        threads: int | None,
        *,
        command: str,
        probes: bool = False,
        compared: bool = False,
        cwd: str | None = None,
    ) -> None:
        self.folder = folder
        self._began = time.monotonic()
        folder.mkdir(parents=True)
        order = {
            "target": script.name,
            "is_module": script.is_module,
            "arguments": list(script.arguments),
            "remedies": list(change.remedies),
            "interventions": list(change.interventions),
            "factor": change.factor,
            "seed": change.seed,
            "steps": steps,
            "folder": str(folder.absolute()),
            "parent": os.getpid(),
            "probes": probes,
            "command": command,
            "compared": compared,
        }
        environment = {**os.environ, "WANDB_MODE": "disabled", "PYTHONUNBUFFERED": "1"}
        if threads is not None:
            environment.setdefault("OMP_NUM_THREADS", str(threads))
        with (folder / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                [*start.command("bnprobe.launch.trial"), json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=cwd,
                start_new_session=True,  # Ctrl-C at the terminal is for the parent, and the whole group ends together
            )

    @property
    def run_file(self) -> Path:
        """The recording; it need not exist."""
        return self.folder / "run.h5"

    @property
    def seconds(self) -> float:
        """Time since it was started."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait()

    @property
    def exit_status(self) -> int:
        """Of the ended process: negative where a signal ended it."""
        return self._process.wait()

    def output(self) -> str:
        """All that the script wrote."""
        with contextlib.suppress(OSError):
            return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")
        return ""

    def last_lines(self) -> str:
        """What the script wrote last."""
        with contextlib.suppress(OSError), (self.folder / "output.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            lines = file.read().decode("utf-8", "replace").splitlines()
            return "\n".join(line[:_LONGEST_LINE] for line in lines[-LAST_LINES:])
        return ""

    def end(self) -> None:
        """End the process and those that it has started, politely first."""
        for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # workers that it left behind

    def clear(self) -> None:
        """Remove what it left in its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
