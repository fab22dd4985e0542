from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bnprobe.analyse import robust

RNG = np.random.default_rng(3)


def test_median_agrees_with_numpy_and_skips_gaps_and_infinities() -> None:
    values = RNG.standard_normal((6, 9))
    assert robust.median(values, axis=0) == pytest.approx(np.median(values, axis=0))
    values[1, :4], values[2, 5] = np.nan, np.inf
    finite = np.where(np.isfinite(values), values, np.nan)
    assert robust.median(values, axis=1) == pytest.approx(np.nanmedian(finite, axis=1))


def test_median_of_nothing_is_a_gap() -> None:
    assert np.isnan(robust.median(np.full((2, 3), np.nan))).all()
    assert np.isnan(robust.median(np.empty((2, 0)))).all()
    assert robust.median(np.empty((0, 4)), axis=1).shape == (0,)


def test_spread_is_the_deviation_of_gaussian_noise_whatever_a_few_values_do() -> None:
    values = RNG.normal(5.0, 2.0, 4000)
    values[:200] = 1e30
    assert robust.spread(values) == pytest.approx(2.0, rel=0.15)


def test_slopes_agree_with_scipy_and_survive_wild_values() -> None:
    x = np.arange(20.0)
    y = 0.3 * x + RNG.normal(0, 0.1, (4, 20))
    y[0, 3], y[1, :4], y[2, 7] = 1e6, np.nan, np.inf
    expected = [stats.theilslopes(row[np.isfinite(row)], x[np.isfinite(row)])[0] for row in y]
    assert robust.slopes(x, y) == pytest.approx(expected, rel=1e-9)


def test_slopes_over_many_places_use_wide_pairs_and_stay_right() -> None:
    x = np.arange(300.0)
    y = -0.05 * x[None, :] + RNG.normal(0, 1.0, (3, 300))
    assert robust.slopes(x, y) == pytest.approx([-0.05] * 3, abs=0.005)


@pytest.mark.parametrize("places", [0, 1])
def test_slopes_need_two_places(places: int) -> None:
    assert np.isnan(robust.slopes(np.arange(float(places)), np.zeros((3, places)))).all()


def test_significance_of_fall_is_kendalls() -> None:
    values = RNG.normal(size=60) - 0.03 * np.arange(60)
    expected = stats.kendalltau(np.arange(60), values, alternative="less", method="asymptotic").pvalue
    assert robust.significance_of_fall(values) == pytest.approx(expected, rel=1e-6)
    assert robust.significance_of_fall(values[:2]) == 1.0


def test_first_finite_of_each_column() -> None:
    values = np.array([[np.nan, 2.0, np.nan], [np.inf, 3.0, np.nan], [4.0, 5.0, np.nan]])
    assert robust.first_finite(values) == pytest.approx([4.0, 2.0, np.nan], nan_ok=True)
    assert np.isnan(robust.first_finite(values[:0])).all()
