"""How far one signal is from another, in its own deviations: the unit in which the costs of normalisation are told."""

from __future__ import annotations

import torch


def statistics_gap(mean: torch.Tensor, variance: torch.Tensor, other_mean: torch.Tensor, other_variance: torch.Tensor) -> float:
    """How far other statistics are from those that normalised a signal, as a normalised signal would show it.

    Args:
        mean: (C,) with which the signal was normalised.
        variance: (C,).
        other_mean: (C,) of the signal as it is otherwise.
        other_variance: (C,).

    Returns:
        sqrt(mean_c [((m' - m) / s)^2 + (s' / s - 1)^2]), channels that do not vary left out; NaN where none varies.

    >>> zero, one = torch.zeros(2), torch.ones(2)
    >>> statistics_gap(zero, one, zero, 4 * one)
    1.0
    """
    varies = variance > 0
    mean, variance, other_mean, other_variance = (one.double()[varies] for one in (mean, variance, other_mean, other_variance))
    shift = (other_mean - mean).square() / variance
    return float((shift + ((other_variance / variance).sqrt() - 1).square()).mean().sqrt())


def distance(changed: torch.Tensor, signal: torch.Tensor, deviation: float) -> float:
    """How far a changed signal is from what it was.

    Args:
        changed: as it is now.
        signal: as it was, of the same shape.
        deviation: of the whole signal around its channels' means.

    Returns:
        Root mean square of the change, over the deviation; NaN where the signal does not vary.

    >>> distance(torch.tensor([2.0, 2.0]), torch.zeros(2), 4.0)
    0.5
    """
    if not deviation > 0:
        return float("nan")
    return float((changed.double() - signal.double()).square().mean().sqrt()) / deviation
