"""One trial as a process: started, waited for, ended with all that it has started, and never able to outlive its purpose."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bnprobe import start
from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.experiments.warm_start import ForkedProcess, WarmStart

#: Time that a process gets to end when it is asked to.
GRACE_SECONDS = 2.0


class TrialProcess(RunningTrial):
    """A trial in a process that this one has started.

    Args:
        order: the trial.
        folder: its own, new; removed by ``clear``.
        environment: variables that it has beside, or in place of, those of this process.
        warm: begins it with torch imported, where that is possible.
    """

    def __init__(
        self, order: TrialOrder, folder: Path, environment: Mapping[str, str] | None = None, warm: WarmStart | None = None
    ) -> None:
        self._folder = folder
        self._began = time.monotonic()
        folder.mkdir(parents=True)
        document = {
            "target": order.script.name,
            "is_module": order.script.is_module,
            "arguments": list(order.script.arguments),
            "remedies": list(order.change.remedies),
            "interventions": list(order.change.interventions),
            "factor": order.change.factor,
            "seed": order.change.seed,
            "steps": order.steps,
            "folder": str(folder.absolute()),
            "parent": os.getpid(),
            "probes": order.probes,
            "command": order.command,
            "compared": order.compared,
            "until_diverged": order.until_diverged,
        }
        variables = variables_of(order, environment)
        begun = warm.begin(json.dumps(document), self._output, order.cwd, variables) if warm is not None else None
        self._process: subprocess.Popen[bytes] | ForkedProcess = begun or self._started(json.dumps(document), order, variables)

    @property
    def _output(self) -> Path:
        return self._folder / "output.txt"

    def _started(self, document: str, order: TrialOrder, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._output.open("wb") as output:
            return subprocess.Popen(
                [*start.command("bnprobe.launch.trial"), document],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                cwd=order.cwd,
                start_new_session=True,  # Ctrl-C at the terminal is for the parent, and the whole group ends together
            )

    @property
    def folder(self) -> Path:
        """Its own folder."""
        return self._folder

    @property
    def seconds(self) -> float:
        """Time since it was started."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def is_forked(self) -> bool:
        """Whether it began with what others have imported."""
        return isinstance(self._process, ForkedProcess)

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait()

    @property
    def exit_status(self) -> int:
        """Of the ended process: negative where a signal ended it."""
        return self._process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM to the process and those that it has started."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """End the process and those that it has started, politely first."""
        for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        self._signal(signal.SIGKILL)  # workers that it left behind

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def clear(self) -> None:
        """Remove what it left in its folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


def variables_of(order: TrialOrder, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a trial."""
    variables = {**os.environ, "WANDB_MODE": "disabled", "PYTHONUNBUFFERED": "1", **(environment or {})}
    return variables if order.threads is None else {**variables, "OMP_NUM_THREADS": str(order.threads)}
