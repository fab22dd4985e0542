"""A sample of what tests/benchmarks/kills.py and tests/benchmarks/fuzz.py do at full size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked writers")
@pytest.mark.slow
def test_twenty_killed_writers():
    deaths = kills.kill_many(20, seed=1, longest=2.0)
    assert [death for death in deaths if death.faults] == []
    assert all(death.plain for death in deaths)
    assert sum(death.recorded > 0 for death in deaths) >= 5


def fuzz(files: int, seed: int) -> str:
    """Run the benchmark in a process of its own: its memory bound is that of a reader, not of the process that runs all tests."""
    command = [sys.executable, "-m", "tests.benchmarks.fuzz", "--files", str(files), "--seed", str(seed)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_two_hundred_damaged_files():
    table = fuzz(200, seed=1)
    assert all(outcome in table for outcome in ("clear error", "partial reading", "full reading"))
