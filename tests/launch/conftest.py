"""Run a script bare and under ``bnprobe record``, with a small stand-in for torch and for the recorder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

FAKE = Path(__file__).parent / "fake"
LAUNCHER = FAKE / "bnprobe_with_fake_recorder.py"


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str
    events: list[dict]

    @property
    def endings(self) -> list[dict]:
        return [event["ending"] for event in self.events if event["event"] == "finish"]

    @property
    def ending(self) -> tuple[str, str, int]:
        """The one ending that was written; fails if there is none or several."""
        (ending,) = self.endings
        return ending["status"], ending["detail"], ending["exit_status"]


class Workbench:
    """A folder with scripts, and the two ways to run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "run.h5"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
        return {**inherited, "PYTHONPATH": str(FAKE), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300", **more}

    def plain(self, *command: str, **environment: str) -> Result:
        """Run ``python *command``."""
        return self._run([sys.executable, *command], environment)

    def record(self, *command: str, options: tuple[str, ...] = ("-q",), **environment: str) -> Result:
        """Run ``bnprobe record -o run.h5 *options *command``."""
        return self._run([*self.command(*options), *command], environment)

    def command(self, *options: str) -> list[str]:
        return [sys.executable, str(LAUNCHER), "record", "-o", str(self.output), *options]

    def start(self, *command: str, recorded: bool) -> subprocess.Popen[str]:
        """Start a script that prints a line when it is ready, and wait for that line."""
        start = self.command("-q") if recorded else [sys.executable]
        process = subprocess.Popen(
            [*start, *command],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    def finished(self, process: subprocess.Popen[str]) -> Result:
        stdout, stderr = process.communicate(timeout=60)
        return Result(process.returncode, stdout, stderr, self.events())

    def events(self) -> list[dict]:
        if not self.output.exists():
            return []
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def _run(self, command: list[str], environment: dict[str, str]) -> Result:
        process = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Result(process.returncode, process.stdout, process.stderr, self.events())


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)
