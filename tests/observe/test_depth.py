"""What the recorder does at a step grows as the network does, and no faster."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("build", ["paired", pytest.param("loose", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_twice_the_layers_are_twice_the_work(build: str) -> None:
    # In a process of its own, for the recorder replaces functions of torch. A square would give four.
    text = f"from tests.benchmarks.depth import calls, {build} as build; print(*calls(build, 120)); print(*calls(build, 240))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=240)
    once, twice = ([int(word) for word in line.split()] for line in done.stdout.splitlines())
    assert min(once[:-1]) > 120
    # Rows are written when it is time for it: the end has what the steps have not written.
    ratios = [new / old for new, old in zip(twice[:-1], once[:-1], strict=True)] + [sum(twice) / sum(once)]
    assert max(ratios) < 2.6, (once, twice)
