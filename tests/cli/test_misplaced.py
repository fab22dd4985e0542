"""Options that were typed behind the script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bnprobe.cli.misplaced import SHARED, _ours, misplaced

STRICT = """
import argparse
import torch
argparse.ArgumentParser().parse_args()
"""


def test_what_only_we_have_is_told_apart_from_what_the_script_may_have(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("parser.add_argument('--audit'); what_if = True")
    given = ["--lr", "0.1", "--curvature=10", "--audit", "--max-steps", "5", "--what-if", "--", "--children"]
    assert misplaced(given, str(script)) == (["--curvature"], ["--audit", "--max-steps", "--what-if"])
    assert misplaced(["--lr", "0.1", "curvature"], str(script)) == ([], [])
    assert misplaced(["-o", "run.h5", "-x"], str(script)) == ([], ["-o"])
    assert misplaced(["--curvature"], "package.train") == (["--curvature"], [])


def test_the_shared_ones_are_ours() -> None:
    assert _ours() >= SHARED


@pytest.mark.parametrize(("option", "at_once"), [("--curvature", True), ("--max-steps", False)])
def test_a_script_that_is_given_our_options_gets_a_hint(tmp_path: Path, option: str, at_once: bool) -> None:
    (tmp_path / "train.py").write_text(STRICT)
    command = [sys.executable, "-m", "bnprobe", "record", "-o", "run.h5", "train.py", option, "10"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    hint = f"bnprobe: hint: {option} stands behind the script"
    assert ended.stderr.count(hint) == 1
    assert (ended.stderr.index(hint) < ended.stderr.index("usage:")) == at_once
