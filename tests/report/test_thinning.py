from __future__ import annotations

import numpy as np
import pytest

from bnprobe.report.thinning import any_in_bins, bin_starts, envelope, largest_in_bins, place_of_largest


def test_short_series_are_left_alone() -> None:
    assert envelope(np.array([3.0, np.nan, 1.0])).tolist() == [0, 1, 2]


@pytest.mark.parametrize("spike", [1e9, -1e9, np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1, 54_321, 99_999])
def test_an_envelope_keeps_a_spike_of_one_step(spike: float, place: int) -> None:
    values = np.sin(np.arange(100_000) / 500)
    values[place] = spike
    chosen = envelope(values, most=1500)
    assert len(chosen) <= 1500
    assert place in chosen
    assert (np.diff(chosen) > 0).all()


def test_an_envelope_keeps_the_range() -> None:
    values = np.random.default_rng(0).standard_normal(20_000)
    kept = values[envelope(values, most=300)]
    assert (kept.min(), kept.max()) == (values.min(), values.max())


@pytest.mark.parametrize(("count", "most"), [(0, 10), (1, 10), (10, 10), (11, 10), (1000, 7)])
def test_bins_cover_everything_once(count: int, most: int) -> None:
    starts = bin_starts(count, most)
    assert len(starts) == min(count, most)
    assert (np.diff(starts) > 0).all()
    assert starts.size == 0 or starts[0] == 0


def test_bins_keep_the_largest_value_and_any_mark() -> None:
    values = np.array([[1.0, np.nan], [5.0, np.nan], [2.0, -1.0], [0.0, -3.0]])
    starts = bin_starts(4, 2)
    assert np.array_equal(largest_in_bins(values, starts), [[5.0, np.nan], [2.0, -1.0]], equal_nan=True)
    assert any_in_bins(np.isnan(values), starts).tolist() == [[False, True], [False, False]]


def test_the_largest_of_a_bin_keeps_its_place() -> None:
    values = np.array([[1.0, np.nan], [9.0, np.nan], [2.0, 5.0], [3.0, 5.0], [0.0, np.nan]])
    starts = np.array([0, 2, 4])
    places = place_of_largest(values, largest_in_bins(values, starts), starts)
    assert places.tolist() == [[1, 0], [3, 2], [4, 4]]
