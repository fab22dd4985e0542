from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.takeovers import takeovers_with_a_leap
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import diagnose
from tests.synthetic_runs import Recording, residual_recording


def recording(first: float, after: float, *, in_turn: bool = False) -> Recording:
    """A loss of 0.1 at the end, and another optimizer from step 40 on: its first loss, and the one after its first update."""
    made = residual_recording(steps=100)
    made.loss = 0.1 + np.exp(-np.arange(100) / 5.0)
    made.loss[40], made.loss[41:50] = first, after
    made.groups = ["Adam[0]", "Adam#2[0]"]
    rates = np.full((100, 2), np.nan)
    rates[:40, 0], rates[40:, 1] = 1e-3, 1e-3
    if in_turn:
        rates[::2, 0] = 1e-3
    made.by_step["learning_rate"] = rates
    return made


def test_an_optimizer_without_the_memory_of_the_one_before() -> None:
    made = recording(0.1, 2.0)
    (one,) = takeovers_with_a_leap(RunView.of(made.run()))
    assert (one.step, one.optimizer, one.first, one.highest) == (40, "Adam#2", 0.1, 2.0)
    found = next(finding for finding in diagnose(made.run()) if finding.id == "loss-spike")
    assert (found.severity, found.step) == ("warning", 40)
    assert "another optimizer (Adam#2) takes over" in found.cause


@pytest.mark.parametrize(
    ("first", "after", "in_turn"),
    [
        pytest.param(2.0, 2.0, False, id="a training that begins anew"),
        pytest.param(0.1, 0.11, False, id="it goes on"),
        pytest.param(0.1, 2.0, True, id="in turn"),
    ],
)
def test_what_is_none(first: float, after: float, in_turn: bool) -> None:
    assert takeovers_with_a_leap(RunView.of(recording(first, after, in_turn=in_turn).run())) == []
