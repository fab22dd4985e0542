"""Page's cumulative sum, against sums made by hand."""

import math

import pytest

from tests.faults import cusum

#: Mean 2, deviation 1 (of a sample).
NORMAL = [1.0, 2.0, 3.0]


def test_sums_add_what_is_above_the_mean_and_the_slack_in_deviations() -> None:
    assert cusum.textbook([*NORMAL, 4.0, 2.0, 3.0], reference=3) == pytest.approx([0, 0, 0, 1.5, 1.0, 1.5])


def test_sums_never_fall_below_zero() -> None:
    assert cusum.textbook([*NORMAL, 0.0, 0.0, 3.0], reference=3) == pytest.approx([0, 0, 0, 0, 0, 0.5])


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_an_alarm_at_any_threshold(lost: float) -> None:
    assert cusum.first_at(cusum.textbook([*NORMAL, 2.0, lost], reference=3), 1e9) == 4
    assert cusum.first_at(cusum.textbook([1.0, lost, 3.0], reference=3), 1e9) == 1


def test_a_loss_without_noise_has_a_deviation() -> None:
    assert cusum.first_at(cusum.textbook([2.0, 2.0, 2.0, 2.0, 2.1], reference=3), cusum.THRESHOLD) == 4


@pytest.mark.parametrize("find", [cusum.textbook, cusum.of_trainscope])
def test_a_leap_is_told_and_what_came_before_is_not(find: object) -> None:
    noise = [1.0 + 0.01 * (-1) ** step for step in range(60)]
    sums = find([*noise, 3.0])  # type: ignore[operator]
    assert cusum.first_at(sums, cusum.THEIR_THRESHOLD) == 60


def test_the_threshold_lets_no_more_than_so_many_alarms_through() -> None:
    highest = [0.0, 4.0, 2.0, 9.0]
    threshold = cusum.threshold_for(1, highest)
    assert sum(one >= threshold for one in highest) == 1
    assert 4.0 < threshold < 4.1


def test_where_all_may_alarm_any_rise_is_one() -> None:
    assert 0.0 < cusum.threshold_for(4, [0.0, 4.0, 2.0, 9.0]) < 1e-9
