from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnprobe.divergence import DIVERGENCE_RATIO
from bnprobe.measure.line_search import LARGEST, SMALLEST, search_line

LIMITS = st.floats(-7.0, 14.0).map(lambda exponent: 2.0**exponent)


@given(LIMITS, st.floats(0.0, 10.0))
def test_both_limits_are_bracketed_within_ten_forwards(critical: float, apart: float) -> None:
    divergence = critical * 2.0**apart
    calls: list[float] = []

    def evaluate(s: float) -> float:
        calls.append(s)
        return 0.5 if s <= critical else 2.0 if s <= divergence else math.inf

    probe = search_line(evaluate, 1.0)
    assert probe.forwards == len(calls) + 1 <= 10
    assert len(set(calls)) == len(calls)
    assert probe.critical[0] <= critical <= probe.critical[1] <= 2.0 * probe.critical[0]
    assert probe.divergence[0] <= divergence <= probe.divergence[1]


@given(st.floats(1e-3, 1e3), st.floats(-2.0, 3.0))
def test_the_root_of_a_parabola_is_within_the_interval(loss: float, exponent: float) -> None:
    root = 10.0**exponent
    probe = search_line(lambda s: loss * (1.0 + s * (s - root) / root**2), loss)
    assert probe.critical[0] <= root * (1 + 1e-9)
    assert root <= probe.critical[1] * (1 + 1e-9)


def test_a_loss_that_only_falls_has_no_limit() -> None:
    probe = search_line(lambda s: 1.0 / (1.0 + s), 1.0)
    assert probe.critical == probe.divergence == (LARGEST, math.inf)


def test_a_step_uphill_has_the_limit_zero() -> None:
    probe = search_line(lambda s: 1.0 + s, 1.0)
    assert probe.critical == (0.0, SMALLEST)
    assert probe.divergence[0] < 999.0 <= probe.divergence[1]


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_lost_loss_is_a_divergence(lost: float) -> None:
    probe = search_line(lambda s: 0.5 if s < 3.0 else lost, 1.0)
    assert probe.critical == probe.divergence
    assert probe.critical[0] < 3.0 <= probe.critical[1]
    assert dict(probe.points)[LARGEST if LARGEST in dict(probe.points) else probe.critical[1]] == math.inf


def test_a_negative_loss_rises_when_it_comes_nearer_to_zero() -> None:
    probe = search_line(lambda s: -2.0 + (s - 4.0) / 2, -2.0)
    assert probe.critical[0] <= 4.0 <= probe.critical[1]
    assert probe.divergence[0] <= 4.0 + 4.0 * (DIVERGENCE_RATIO - 1.0) <= probe.divergence[1]


@pytest.mark.parametrize("loss", [0.0, math.nan, math.inf])
def test_there_is_no_ratio_to_such_a_loss(loss: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number other than 0"):
        search_line(lambda s: 1.0, loss)
