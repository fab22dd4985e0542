"""From the command line: a script is recorded, its first steps are trained again, and the answers are told."""

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


@pytest.mark.slow
def test_a_script_is_trained_again(training: Callable[..., Training]) -> None:
    script = training()
    assert script.record("--what-if", str(STEPS), "--what-if-remedy", "none", "--what-if-remedy", "msr") == script.plain()
    answers = script.answers()
    assert (answers["proved"], answers["steps"], answers["own_rate"]) == (True, STEPS, 0.05)
    assert list(answers["remedies"]) == ["none", "msr"]
    assert answers["remedies"]["none"]["outcome_at_own"] == "trains"
    assert answers["remedies"]["none"]["trains_at"] < answers["remedies"]["none"]["fails_at"]
    assert_equal(script, answers, "none", 5.0)


@pytest.mark.slow
@pytest.mark.parametrize(("remedy", "factor"), [("none", 5**0.75), ("msr", 1.0), ("batch-norm", 5.0), ("agc", 1.0), ("weight-norm", 1.0)])
def test_it_is_the_real_training(training: Callable[..., Training], remedy: str, factor: float) -> None:
    script = training()
    script.record("--what-if", str(STEPS), "--what-if-remedy", "none", "--what-if-remedy", remedy)
    assert_equal(script, script.answers(), remedy, factor)


RISING = """
    for group in optimizer.param_groups:
        group["lr"] = 0.002 * (1.0 if step < 45 else 1.6 ** (step - 45))
    loss = nn.functional.mse_loss(model(images)[:, 0], labels.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.slow
def test_what_would_have_kept_it_from_its_last_healthy_steps_on(training: Callable[..., Training]) -> None:
    script = training(body=RISING, steps=75)
    options = ("--what-if", "20", "--what-if-from-here", "--what-if-remedy", "none", "--what-if-remedy", "clip-norm:max=0.01")
    assert script.record(*options) == script.plain()
    answers = script.answers()
    assert (answers["proved"], answers["steps"], answers["own_rate"]) == (True, 20, 0.002)
    later = answers["from_here"]
    assert later[0]["outcome"] == "diverges"
    assert {one["start"] for one in later} & {20, 40, 60}
    assert [one["remedy"] for one in later if one["outcome"] == "trains"] == ["none", "clip-norm:max=0.01"]


@pytest.mark.slow
def test_a_training_that_is_lost_in_its_first_steps(training: Callable[..., Training]) -> None:
    body = """
    loss = nn.functional.cross_entropy(model(images), labels)
    assert torch.isfinite(loss)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
    script = training(optimizer="torch.optim.SGD(model.parameters(), lr=100.0)", body=body)
    script.record("--what-if", "auto", "--what-if-remedy", "none", "--keep-tapes", check=False)
    found = script.answers()
    assert found["proved"] and 0 < found["cycled"] < 20 and found["steps"] == 60
    assert found["remedies"]["none"]["outcome_at_own"] == "diverges"
    assert 0.0 < found["remedies"]["none"]["trains_at"] < 100.0
