"""What the script raises for itself reaches it, wherever it arrives."""

from __future__ import annotations

from collections.abc import Callable

from tests.observe.conftest import Comparison


def test_every_alarm_arrives(compare: Callable[..., Comparison]) -> None:
    ran = compare("deadlines")
    assert ran.plain.stdout.startswith("alarms 15 arrived 15\n")
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.stderr == ran.plain.stderr
    assert ran.run.problems == []
