"""What the script raises for itself reaches it, wherever it arrives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.observe.conftest import Comparison


@pytest.mark.parametrize("probes", [{}, pytest.param({"line_probe": 1, "curvature": 1}, marks=pytest.mark.slow)])
def test_every_alarm_arrives(compare: Callable[..., Comparison], probes: dict[str, int]) -> None:
    ran = compare("deadlines", **probes)
    assert ran.plain.stdout.startswith("alarms 15 arrived 15\n")
    assert ran.recorded.stdout == ran.plain.stdout
    assert ran.recorded.stderr == ran.plain.stderr
    assert ran.run.problems == []
