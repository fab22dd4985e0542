from __future__ import annotations

import math

import pytest

from bnprobe.analyse.comparison import best_place, limit_of, loss_of, rows_of, terms_of
from bnprobe.store.limits_file import factor_of
from tests.comparison_trials import ATTRIBUTES, comparison, trial, trials


def test_a_row_is_read_from_the_best_rate_alone() -> None:
    none, msr, refused = rows_of(comparison())
    assert none.factor == factor_of(1) and msr.factor == factor_of(2)
    assert none.loss.values == pytest.approx((0.4, 0.42)) and msr.loss.values == pytest.approx((0.2, 0.22))
    assert none.held_out_loss.mean == pytest.approx(0.91)
    assert none.held_out_loss.deviation == pytest.approx(0.02 / math.sqrt(2))
    assert [one.seed for one in none.whole] == [0, 1]
    assert refused.refusal == "no convolution is trained" and not refused.whole


def test_costs_are_compared_seed_by_seed() -> None:
    none, msr, _ = rows_of(comparison())
    assert none.step_ratio.values == pytest.approx((1.0, 1.0))
    assert msr.step_ratio.values == pytest.approx((2.0, 2.0))
    assert msr.step_seconds.values == pytest.approx((0.02, 0.024))


def test_a_rate_that_diverges_is_no_best_rate_however_low_its_loss_was() -> None:
    found = [one for one in trials() if one.remedy == "NONE"]
    terms = terms_of(ATTRIBUTES)
    lost = [trial(one.grid_index, "diverges", 0.01) if one.length == -1 and one.grid_index == 1 and one.seed == 0 else one for one in found]
    assert best_place(terms, found) == 1
    assert best_place(terms, lost) != 1
    assert loss_of(trial(0, "diverges", 0.01)) == math.inf


def test_no_best_rate_is_known_before_all_were_tried() -> None:
    found = [one for one in trials() if one.remedy == "NONE" and not (one.grid_index == -1)]
    assert best_place(terms_of(ATTRIBUTES), found) is None
    assert limit_of(terms_of(ATTRIBUTES), found) == (2, 4)


def test_fewer_seeds_than_were_made_are_shown_alone() -> None:
    none, *_ = rows_of(comparison(seeds=1))
    assert [one.seed for one in none.whole] == [0] and none.loss.values == pytest.approx((0.4,))
