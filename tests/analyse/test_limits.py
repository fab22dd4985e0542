from __future__ import annotations

import math

import pytest

from bnprobe.analyse.limits import Interval, gain, gains, hull, search_result, searches
from bnprobe.store.limits_file import factor_of
from tests.limit_trials import trial, trials


def test_each_search_ends_in_an_interval() -> None:
    found = {(one.remedy, one.seed): one for one in searches(trials())}
    assert list(found) == [("NONE", 0), ("NONE", 1), ("msr", 0), ("msr", 1)]
    assert found["NONE", 0].interval == Interval(1.0, factor_of(1))
    assert found["NONE", 0].fails_by == "stuck"
    assert found["NONE", 0].trials == 4
    assert found["msr", 1].interval == Interval(factor_of(9), factor_of(10))


def test_no_remedy_stands_first_whatever_ended_first() -> None:
    assert searches(list(reversed(trials())))[0].remedy == "NONE"


def test_a_factor_is_what_the_seeds_allow() -> None:
    factor = gains(searches(trials()), "msr")
    assert factor is not None
    # Seed 0: at least 5^2 / 5^(1/4), at most 5^(9/4) / 1; seed 1: at least 5^(9/4) / 5^(1/4), at most 5^(10/4).
    assert factor.trains_at == pytest.approx(5**1.75)
    assert factor.fails_at == pytest.approx(5**2.5)


def test_a_remedy_without_a_seed_in_common_has_no_factor() -> None:
    assert gains(searches([trial(0, "trains"), trial(0, "trains", "msr", seed=1)]), "msr") is None


def test_open_ends_stay_open() -> None:
    assert search_result([trial(0, "trains")], "NONE", 0).interval == Interval(1.0, math.inf)
    assert search_result([trial(0, "diverges")], "NONE", 0).interval == Interval(0.0, 1.0)
    assert gain(Interval(0.0, 2.0), Interval(1.0, 1.5)) == Interval(0.0, 2.0)
    assert gain(Interval(1.0, 1.5), Interval(0.0, 0.5)) == Interval(2.0, math.inf)
    assert hull([]) is None


def test_a_slow_trial_is_no_upper_end() -> None:
    found = search_result([trial(-4, "stuck", stuck_by="slow"), trial(0, "trains"), trial(1, "diverges")], "NONE", 0)
    assert found.interval == Interval(1.0, factor_of(1))
    assert found.odd_ones == 0


def test_a_trial_that_failed_for_another_reason_says_nothing_of_its_rate() -> None:
    found = search_result([trial(0, "failed", reason="no such file")], "NONE", 0)
    assert found.interval is None
    assert found.failure == "no such file"


def test_a_failure_below_a_rate_that_trains_is_counted() -> None:
    assert search_result([trial(0, "stuck", stuck_by="risen"), trial(1, "trains"), trial(2, "diverges")], "NONE", 0).odd_ones == 1
    assert search_result([trial(0, "stuck"), trial(1, "trains"), trial(2, "diverges")], "NONE", 0).odd_ones == 0
