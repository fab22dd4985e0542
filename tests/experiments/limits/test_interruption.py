"""Whatever ends the command, finished trials are kept, nothing is left running, and the same command goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.errors import RunFileError
from bnprobe.store.limits_file import Trial, read_limits
from tests.experiments.limits.conftest import QUADRATIC
from tests.processes import processes_of

#: Steps so slow that a trial is under way whenever it is looked for.
SLOW = QUADRATIC.replace("MOMENTUM", "0.0").replace("    optimizer.step()\n", "    optimizer.step()\n    __import__('time').sleep(0.03)\n")
ARGUMENTS = ["--remedy", "NONE", "--seeds", "1", "--steps", "60", "--rates", "0.03:0.08", "-o", "limits.h5", "train.py"]


def start(folder: Path) -> subprocess.Popen[str]:
    (folder / "train.py").write_text(SLOW)
    return subprocess.Popen(
        [sys.executable, "-m", "bnprobe", "lr-limit", *ARGUMENTS],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_trials(folder: Path, count: int) -> list[Trial]:
    """Wait until so many trials are in the file and another one is under way."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        try:
            trials = read_limits(folder / "limits.h5").trials
        except RunFileError:
            trials = []
        if len(trials) >= count and list(folder.glob(".limits.h5.trials/trial-*/run.h5")):
            return trials
        time.sleep(0.2)
    raise AssertionError(f"no {count} trials in time")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_command_goes_on_where_it_was(
    number: int, lr_limit: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    command = start(tmp_path)
    kept = wait_for_trials(tmp_path, 1)
    command.send_signal(number)
    _, told = command.communicate(timeout=60)
    assert command.returncode == (-9 if number == signal.SIGKILL else 130)
    time.sleep(0.5)
    assert processes_of(tmp_path) == []
    if number != signal.SIGKILL:
        assert "to go on: bnprobe lr-limit --remedy NONE" in told
        assert not list(tmp_path.glob(".limits*")), "nothing is left beside the file"
        assert read_limits(tmp_path / "limits.h5").attributes["status"] == "interrupted"
    kept = read_limits(tmp_path / "limits.h5").trials
    result = lr_limit(*ARGUMENTS)
    assert result.returncode == 0, result.stderr
    assert f"{len(kept)} trials were made before and are not repeated" in result.stderr
    limits = read_limits(tmp_path / "limits.h5")
    assert [(one.grid_index, one.outcome, one.seconds) for one in limits.trials[: len(kept)]] == [
        (one.grid_index, one.outcome, one.seconds) for one in kept
    ]
    grid_indices = [trial.grid_index for trial in limits.trials]
    assert len(set(grid_indices)) == len(grid_indices)
    assert limits.attributes["status"] == "finished"
    assert not list(tmp_path.glob(".limits*"))
    again = lr_limit(*ARGUMENTS)
    assert again.returncode == 0
    assert len(read_limits(tmp_path / "limits.h5").trials) == len(grid_indices), "a finished search makes no trial"
