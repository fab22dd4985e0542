from __future__ import annotations

import os
import time

import pytest

from bnprobe.observe.compared import step_costs
from bnprobe.observe.compared.step_costs import StepCosts, resident_bytes


def test_the_time_of_a_step_is_the_median_of_those_without_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([1.0, 1.1, 9.0, 9.2, 9.5])
    monkeypatch.setattr(step_costs, "_processor_time", lambda: next(now))
    costs = StepCosts()
    costs.step_ended()
    costs.step_ended()
    costs.something_else()  # an evaluation
    for _ in range(3):
        costs.step_ended()
    found = costs.summary()
    assert found["step_seconds"] == pytest.approx(0.2)
    assert found["steps"] == 3


def test_waiting_costs_no_processor_time() -> None:
    costs = StepCosts()
    costs.step_ended()
    time.sleep(0.2)
    costs.step_ended()
    seconds = costs.summary()["step_seconds"]
    assert seconds is not None and seconds < 0.1


def test_memory_is_what_the_process_held_at_most() -> None:
    costs = StepCosts()
    page = os.sysconf("SC_PAGESIZE")
    block = bytearray(64 * 2**20)
    for place in range(0, len(block), page):
        block[place] = 1
    del block
    peak = costs.summary()["peak_bytes"]
    assert peak is not None and peak > 60 * 2**20
    assert resident_bytes("VmNothing") is None
