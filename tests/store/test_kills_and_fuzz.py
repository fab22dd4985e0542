"""A sample of what tests/benchmarks/kills.py and tests/benchmarks/fuzz.py do at full size."""

from __future__ import annotations

import os

import pytest

from tests.benchmarks import fuzz, kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked writers")
def test_twenty_killed_writers():
    deaths = kills.kill_many(20, seed=1, longest=0.5)
    assert [death for death in deaths if death.faults] == []
    assert all(death.plain for death in deaths)
    assert sum(death.recorded > 0 for death in deaths) >= 5


@pytest.mark.slow
def test_two_hundred_killed_writers():
    assert [death for death in kills.kill_many(200, seed=2) if death.faults] == []


def test_two_hundred_damaged_files():
    results = fuzz.fuzz(200, seed=1)
    assert fuzz.failures(results) == []
    outcomes = {result["outcome"] for result in results}
    assert {"clear error", "partial reading", "full reading"} <= outcomes


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_thousand_damaged_files():
    results = fuzz.fuzz(5000, seed=2)
    assert len(results) == 5000 and fuzz.failures(results) == []
