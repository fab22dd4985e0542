from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnprobe.analyse.limits import Verdict, bracket
from bnprobe.experiments.limits.plan import MOST_TRIALS, NEAR_STRIDES, STRIDES, Range, next_index
from bnprobe.store.limits_file import factor_of


def search(
    limit: int, slow_below: int = -1000, start: int = 0, strides: tuple[int, ...] = STRIDES, allowed: Range | None = None
) -> dict[int, Verdict]:
    """Search a training that trains from ``slow_below`` up to ``limit``."""
    tried: dict[int, Verdict] = {}
    while (grid_index := next_index(tried, start, strides, allowed)) is not None:
        assert grid_index not in tried, "no trial is made twice"
        tried[grid_index] = "fails" if grid_index > limit else "slow" if grid_index < slow_below else "trains"
    return tried


@given(st.integers(-28, 28))
def test_a_limit_within_four_decades_is_found_in_ten_trials(limit: int) -> None:
    tried = search(limit)
    assert bracket(tried) == (limit, limit + 1)
    assert len(tried) <= MOST_TRIALS


def test_the_interval_has_ratio_one_and_a_half_at_most() -> None:
    assert factor_of(1) / factor_of(0) <= 1.5


@given(st.integers(-12, 12), st.integers(-2, 2))
def test_near_the_limit_of_another_seed_four_trials_do(limit: int, away: int) -> None:
    tried = search(limit, start=limit + away, strides=NEAR_STRIDES)
    assert bracket(tried) == (limit, limit + 1)
    assert len(tried) <= 5


def test_from_a_rate_that_is_too_slow_the_search_goes_up() -> None:
    tried = search(limit=14, slow_below=6)
    assert min(tried) == 0
    assert bracket(tried) == (14, 15)


def test_a_training_that_is_slow_or_fails_ends_without_a_rate() -> None:
    tried = search(limit=6, slow_below=7)
    assert "trains" not in tried.values()
    assert bracket(tried) == (6, 7)


@pytest.mark.parametrize("limit", [-30, 30])
def test_rates_outside_the_range_are_not_tried(limit: int) -> None:
    tried = search(limit, allowed=Range(-5, 5))
    assert set(tried) <= set(range(-5, 6))
    assert (min(tried) if limit < 0 else max(tried)) == (-5 if limit < 0 else 5)


@given(st.integers(-10, 10))
def test_a_training_that_is_stuck_below_and_above_is_looked_for_on_both_sides(window: int) -> None:
    tried: dict[int, Verdict] = {}
    while (grid_index := next_index(tried)) is not None:
        tried[grid_index] = "trains" if window - 2 <= grid_index <= window + 2 else "stuck"
    assert bracket(tried) == (window + 2, window + 3)
    assert len(tried) <= MOST_TRIALS


def test_what_is_stuck_below_and_diverges_above_ends_without_a_rate() -> None:
    tried: dict[int, Verdict] = {}
    while (grid_index := next_index(tried)) is not None:
        tried[grid_index] = "fails" if grid_index > 5 else "stuck"
    assert bracket(tried) == (5, 6)
    assert min(tried) <= -8, "slower rates were tried as well"


def test_a_slower_rate_that_fails_does_not_hide_a_faster_one_that_trains() -> None:
    assert bracket({0: "fails", -4: "trains", 4: "trains", 8: "fails"}) == (4, 8)
