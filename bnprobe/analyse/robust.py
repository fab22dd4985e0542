"""Statistics that a few wild values cannot move, on arrays with gaps.

Infinite values are gaps here: a median over them is meant for what can still be compared. The tests compare every function with scipy;
importing ``scipy.stats`` would take longer than a whole diagnosis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Pairs used by `slopes`; beyond that an even choice of the widest pairs, whose slopes are the most certain, stands for all of
#: them.
PAIR_LIMIT = 1000
#: Values used by `significance_of_fall`.
TREND_LIMIT = 400
#: Median absolute deviation to standard deviation, for Gaussian noise.
MAD_TO_SIGMA = 1.4826


def median(values: NDArray[Any], axis: int = -1) -> Array:
    """Median of the finite values along an axis; NaN where there are none.

    >>> median(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.inf]])).tolist()
    [2.0, nan]
    """
    found = np.moveaxis(np.asarray(values, dtype=float), axis, -1)
    length = found.shape[-1]
    if length == 0:
        return np.full(found.shape[:-1], np.nan)
    known = np.isfinite(found)
    if known.all():  # the two in the middle are the same everywhere, and need no order of the others
        low, high = (length - 1) // 2, length // 2
        parted = np.partition(found, [low, high], axis=-1)
        both: Array = parted[..., low] + (parted[..., high] - parted[..., low]) / 2
        return both
    found = np.sort(np.where(known, found, np.nan), axis=-1)  # NaN sorts to the end
    count = known.sum(axis=-1)
    below = np.take_along_axis(found, np.maximum((count - 1) // 2, 0)[..., None], axis=-1)[..., 0]
    above = np.take_along_axis(found, np.minimum(count // 2, length - 1)[..., None], axis=-1)[..., 0]
    middle: Array = np.where(count > 0, below + (above - below) / 2, np.nan)
    return middle


def spread(values: NDArray[Any], axis: int = -1) -> Array:
    """Standard deviation estimated from the median absolute deviation along an axis; NaN where nothing is finite."""
    finite = np.where(np.isfinite(values), values, np.nan).astype(float)
    return MAD_TO_SIGMA * median(np.abs(finite - np.expand_dims(median(finite, axis), axis)), axis)


def slopes(x: NDArray[Any], y: NDArray[Any]) -> Array:
    """Theil-Sen slope of every row of ``y`` over ``x``: the median of the slopes between pairs of points.

    Theil 1950; up to 29 per cent of the points may be anything. Gaps are left out pair by pair.

    Args:
        x: places, (N,), increasing.
        y: values, (S, N).

    Returns:
        (S,), NaN where fewer than two values of a row are finite.
    """
    if len(x) < 2:
        return np.full(len(y), np.nan)
    first, second = _pairs(len(x))
    finite = np.where(np.isfinite(y), y, np.nan).astype(float)
    result = np.empty(len(y))
    rows = max(1, 2_000_000 // first.size)  # bounds the memory of a long run
    for start in range(0, len(y), rows):
        block = finite[start : start + rows]
        result[start : start + rows] = median((block[:, second] - block[:, first]) / (x[second] - x[first]))
    return result


def _pairs(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (i, j) of that many points with i < j: all, or an even choice of the wider half, in time and memory linear in the points."""
    number = count * (count - 1) // 2
    if number <= PAIR_LIMIT:
        first, second = np.triu_indices(count, 1)
        return first, second
    # In order of width there are count - w pairs of width w; `ends` numbers the last of each.
    ends = np.cumsum(count - np.arange(1, count))
    chosen = number // 2 + np.linspace(0, number - number // 2 - 1, PAIR_LIMIT).astype(np.int64)
    width = 1 + np.searchsorted(ends, chosen, side="right")
    first = chosen - np.concatenate([[0], ends])[width - 1]
    return first, first + width


def significance_of_fall(values: NDArray[Any]) -> float:
    """One-sided p-value of the Mann-Kendall test for a downward trend: how likely noise without a trend falls as much.

    Mann 1945; S = sum_{i<j} sign(x_j - x_i) is near Gaussian with variance n (n - 1) (2 n + 5) / 18.

    Args:
        values: finite values in order of time; at most `TREND_LIMIT` evenly chosen ones are used.

    >>> significance_of_fall(np.arange(20.0)) > 0.99, significance_of_fall(-np.arange(20.0)) < 1e-6
    (True, True)
    """
    chosen = np.asarray(values, dtype=float)[np.linspace(0, len(values) - 1, min(len(values), TREND_LIMIT)).astype(int)]
    n = chosen.size
    if n < 3:
        return 1.0
    total = float(np.sign(chosen[None, :] - chosen[:, None])[np.triu_indices(n, 1)].sum())
    z = total / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 0.5 * math.erfc(-z / math.sqrt(2))


def first_finite(values: NDArray[Any]) -> Array:
    """The first finite value of every column of (S, N); NaN where a column has none."""
    finite = np.isfinite(values)
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    row = finite.argmax(axis=0)
    picked = np.take_along_axis(np.asarray(values, dtype=float), row[None, :], axis=0)[0]
    return np.where(finite.any(axis=0), picked, np.nan)
