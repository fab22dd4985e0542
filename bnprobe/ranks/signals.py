"""Moments of a layer's signal over all ranks, as one process that saw every sample would have measured them.

Ranks that were given the same batch hold parts of one network, or copies of it: their channels lie side by side. Ranks with batches of
their own hold samples of the same channels: their moments merge by the formula of Chan, Golub and LeVeque (1979). With w_r the share of
rank r of all values of a channel, and m_rc its mean,

    m_c = sum_r w_r m_rc        D = mean_c sum_r w_r (m_rc - m_c)^2
    A = sum_r w_r A_r - D       B = sum_r w_r B_r + D       W = sum_r w_r W_r

The mean square, A + B + W, needs no channels; A and B apart need D, and are missing where no rank kept its channels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def weights(values: Array) -> Array:
    """Return shares of ranks that add up to 1.

    Args:
        values: (G, ...) values of a channel; NaN where a rank measured nothing. Where none says how many, all weigh alike.

    Returns:
        (G, ...) shares, 0 where there is nothing.
    """
    known = np.where(np.isfinite(values) & (values > 0), values, 0.0)
    total = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, known / total, 0.0)


def weighted(shares: Array, values: Array) -> Array:
    """Return the mean over ranks; NaN where none has a value, infinite where one that has a share is."""
    has = (shares > 0) & ~np.isnan(values)
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.sum(np.where(has, shares * np.where(has, values, 0.0), 0.0), axis=0)
    return np.where(has.any(axis=0), total, np.nan)


def by_group(groups: Sequence[Sequence[int]], values: Array, missing: float | None = None) -> Array:
    """Return the value of each group's first rank that has one, (R, ...) to (G, ...): all of a group saw the same batch."""
    known = np.where(values == missing, np.nan, values) if missing is not None else values
    return np.stack([np.asarray(functools.reduce(_or_else, known[list(group)])) for group in groups])


def _or_else(values: Array, others: Array) -> Array:
    return np.where(np.isnan(values), others, values)


def shares_of(sizes: Array, present: Array) -> Array:
    """Return the shares of groups of ranks in each step, which add up to 1.

    Args:
        sizes: (G, S) samples of their batches; NaN where it is not known.
        present: (G, S) NaN where the group did not take the step.

    Returns:
        (G, S) shares. Where only some say how large their batch is, a share of 1 for the others would mean nothing: all weigh alike.
    """
    alike = np.where(np.isnan(present), np.nan, 1.0)
    shares = weights(np.where(np.isnan(sizes), alike, sizes))
    unequal = np.isnan(sizes).any(axis=0)
    shares[:, unequal] = weights(alike)[:, unequal]
    return shares


def side_by_side(groups: Sequence[Sequence[int]], values: Array) -> Array:
    """Return the mean over the ranks of each group, whose channels lie side by side: (R, ...) becomes (G, ...)."""
    found = []
    for group in groups:
        own = values[list(group)]
        with np.errstate(invalid="ignore"):
            count = np.sum(~np.isnan(own), axis=0)
            found.append(np.where(count > 0, np.sum(np.where(np.isnan(own), 0.0, own), axis=0) / np.maximum(count, 1), np.nan))
    return np.stack(found)


def distance(shares: Array, means: Array, channel_layer: NDArray[np.int32], layers: int) -> Array:
    """Return D of each layer: how far the means of channels differ between ranks.

    Args:
        shares: (G, N, L) shares of the groups at N snapshots.
        means: (G, N, C) means of channels, NaN where a group has none.
        channel_layer: (C,) layer of each channel.
        layers: L.

    Returns:
        (N, L), NaN where a group that has a share did not keep its channels.
    """
    snapshots = shares.shape[1]
    found = np.full((snapshots, layers), np.nan)
    if not len(channel_layer):
        return found
    own = shares[:, :, channel_layer]
    lacks = ((own > 0) & np.isnan(means)).any(axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        filled = np.where(own > 0, np.nan_to_num(means, nan=0.0, posinf=np.inf, neginf=-np.inf), 0.0)
        mean = np.sum(own * filled, axis=0)
        spread = np.sum(np.where(own > 0, own * (filled - mean) ** 2, 0.0), axis=0)
    spread[lacks | (own.sum(axis=0) <= 0)] = np.nan
    count = np.bincount(channel_layer, minlength=layers)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    present = np.flatnonzero(count)
    with np.errstate(invalid="ignore", over="ignore"):
        found[:, present] = np.add.reduceat(spread, starts[present], axis=1) / count[present]
    return found


def merged_channels(shares: Array, means: Array, variances: Array, channel_layer: NDArray[np.int32]) -> tuple[Array, Array]:
    """Return mean and variance of every channel over all ranks, NaN where one of them kept none.

    Args:
        shares: (G, N, L).
        means: (G, N, C).
        variances: (G, N, C).
        channel_layer: (C,).

    Returns:
        (N, C) each.
    """
    own = shares[:, :, channel_layer]
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.sum(np.where(own > 0, own * means, 0.0), axis=0)
        variance = np.sum(np.where(own > 0, own * (variances + (means - mean) ** 2), 0.0), axis=0)
    has_none = own.sum(axis=0) <= 0
    mean[has_none], variance[has_none] = np.nan, np.nan
    return mean, variance
