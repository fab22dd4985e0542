"""The tutorial can be finished: its script and its commands, typed in order in an empty folder, give what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_can_be_finished(tmp_path: Path) -> None:
    [script] = blocks("python")
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    printed = {command.strip(): typed(command, tmp_path) for command in blocks("sh")}
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", printed["python train.py"])]
    assert losses[0] == pytest.approx(0.75, abs=0.05) and max(losses) > 1e6 and min(losses[1:]) > losses[0]
    assert printed["bnprobe record -o before.h5 train.py"] == printed["python train.py"], "recording changes nothing"
    for shown, command in zip(blocks("text"), [command for command in printed if "diagnose" in command], strict=True):
        assert headlines(shown) == headlines(printed[command]), command
    assert {page.name for page in tmp_path.glob("*.html")} == {"before.html", "both.html"}


def typed(command: str, folder: Path) -> str:
    """Run one line as a reader would and return its standard output; it must succeed."""
    program, *arguments = shlex.split(command)
    interpreter = {"python": [sys.executable], "bnprobe": [sys.executable, "-m", "bnprobe"]}[program]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*interpreter, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def headlines(output: str) -> list[tuple[str, str]]:
    """Severity and cause of each finding."""
    return re.findall(r"^(error|warning|info): ([a-z-]+)", output, re.MULTILINE)
