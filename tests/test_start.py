"""A process of our own runs our package, whatever is called so where it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bnprobe import start
from bnprobe.errors import BnprobeError


@pytest.mark.parametrize("shadow", ["bnprobe.py", "bnprobe/__init__.py", "errors.py", "launch/__init__.py", "typer.py"])
def test_nothing_in_the_folder_takes_our_place(tmp_path: Path, shadow: str) -> None:
    (tmp_path / shadow).parent.mkdir(exist_ok=True)
    (tmp_path / shadow).write_text("raise SystemExit('the wrong one')\n")
    done = subprocess.run([*start.command("bnprobe.cli"), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout and BnprobeError.__name__ not in done.stderr


def test_the_folder_of_the_process_is_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("word = 'found'\n")
    (tmp_path / "script.py").write_text("import sys, beside; print(beside.word, sys.argv, __name__)\n")
    words = [*start.command("bnprobe.cli"), "record", "-q", "-o", "run.h5", "script.py", "one"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "found ['script.py', 'one'] __main__\n", done.stderr
