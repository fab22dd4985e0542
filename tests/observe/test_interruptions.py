"""What the script raises for itself reaches it, wherever it arrives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.observe.conftest import Comparison


@pytest.mark.slow
def test_every_alarm_arrives(compare: Callable[..., Comparison]) -> None:
    ran = compare("deadlines")
    assert ran.plain.stdout.startswith("alarms 15 arrived 15\n")
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.stderr == ran.plain.stderr
    assert ran.run.problems == []


@pytest.mark.slow
def test_probes_drop_no_alarm_but_those_that_python_drops(compare: Callable[..., Comparison]) -> None:
    """A tape holds torch's references to storages, whose destructor is python: what is raised in there is dropped, and told."""
    ran = compare("deadlines", line_probe=1, curvature=1)
    dropped = ran.recorded.stderr.count("Exception ignored in: <function StorageWeakRef.__del__")
    alarms, digest = ran.recorded.stdout.split("\n", 1)
    assert alarms == f"alarms 15 arrived {15 - dropped}"
    assert digest == ran.plain.stdout.split("\n", 1)[1]
    assert dropped or ran.recorded.stderr == ran.plain.stderr
    assert ran.run.problems == []
