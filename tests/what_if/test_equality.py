"""What is trained again from the tape is what the script really trains, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.what_if.conftest import Training

STEPS = 24


def assert_equal(training: Training, answers: dict[str, Any], remedy: str, factor: float) -> None:
    rate = factor * answers["own_rate"]
    found = next(one for one in answers["remedies"][remedy]["trials"] if one["rate"] == pytest.approx(rate, rel=1e-12))
    assert training.losses(factor, remedy, STEPS) == found["losses"]


def test_the_plain_training_and_a_remedy(training: Callable[..., Training]) -> None:
    script = training()
    assert script.record("--what-if", str(STEPS)) == script.plain()
    answers = script.answers()
    assert (answers["proved"], answers["steps"], answers["own_rate"]) == (True, STEPS, 0.05)
    assert answers["remedies"]["none"]["outcome_at_own"] == "trains"
    assert answers["remedies"]["none"]["trains_at"] < answers["remedies"]["none"]["fails_at"]
    assert_equal(script, answers, "none", 5.0)
    assert_equal(script, answers, "msr", 1.0)
