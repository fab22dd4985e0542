"""Fewer columns than steps: what a screen can show, without losing the one step that matters.

A line keeps the smallest and the largest value of every bin (an envelope), a heat map the largest. A spike of one step in 100,000 survives
both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_COLUMNS = 1500


def bin_starts(count: int, most: int) -> NDArray[np.int64]:
    """Return the first index of each of at most ``most`` bins of nearly equal size over ``count`` entries."""
    bins = min(count, most)
    starts: NDArray[np.int64] = (np.arange(bins) * count) // max(bins, 1)
    return starts


def envelope(values: NDArray[Any], most: int = MOST_COLUMNS) -> NDArray[np.int64]:
    """Choose the entries of (N,) that keep its outline: of every bin the smallest, the largest and the first that is not finite.

    Returns:
        indices, increasing; all of them where ``N <= most``.
    """
    if len(values) <= most:
        return np.arange(len(values))
    finite = np.isfinite(values)
    starts = bin_starts(len(values), most // 3)
    bins = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
    # Sorted by bin and then by value, the first entry of every bin is its smallest.
    chosen = [np.lexsort((key, bins))[starts] for key in (low, -high, finite)]
    return np.unique(np.concatenate(chosen))


def largest_in_bins(values: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    """Reduce (S, L) to one row a bin: the largest value that is not NaN, NaN where there is none."""
    if len(starts) == len(values):
        return values
    reduced: NDArray[Any] = np.fmax.reduceat(values, starts, axis=0)
    return reduced


def place_of_largest(values: NDArray[Any], largest: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where in (S, L) the largest values (B, L) of the bins first stand, as rows; the bin's first row where it has none."""
    if len(starts) == len(values):
        return np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    bins = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    rows = np.where(values == largest[bins], np.arange(len(values))[:, None], len(values))
    first: NDArray[np.int64] = np.minimum.reduceat(rows, starts, axis=0)
    return np.where(first == len(values), starts[:, None], first)


def any_in_bins(mask: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Reduce a mask (S, L) to one row a bin: whether any of its entries is set."""
    if len(starts) == len(mask):
        return mask
    reduced: NDArray[np.bool_] = np.logical_or.reduceat(mask, starts, axis=0)
    return reduced
