"""What random matrices would do: the edge of the singular values of their products."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def edge(widths: Sequence[int]) -> float:
    """Largest singular value of a product of independent Gaussian matrices, large ones, in units of the root mean square of all.

    The squares of the singular values obey z = prod_k (1 + phi n / w_k) / phi, by Voiculescu's S transform of each factor, with the widths
    w_0, ..., w_M and n the smallest of them; their density ends where z(phi) is smallest. Of one matrix that is the edge of Marchenko and
    Pastur 1967, 1 + sqrt(n / w); of M square ones sqrt((M + 1)^(M + 1) / M^M), as in section 4 of Bjorck et al. 2018 (arXiv 1806.02375).

    Args:
        widths: of what goes into the first, comes out of it, and so on: one more than there are matrices.

    Returns:
        The edge; the number of singular values that are meant is that of the smallest width.

    >>> [round(edge([64] * (count + 1)), 2) for count in (1, 3, 5)]
    [2.0, 3.08, 3.86]
    >>> round(edge([1024, 10]), 2)
    1.1
    """
    shares = min(widths) / np.asarray(widths, dtype=float)
    low, high = -12.0, 12.0  # log phi: z falls and then rises in it
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if _position(left, shares) < _position(right, shares):
            high = right
        else:
            low = left
    return math.exp(0.5 * _position(0.5 * (low + high), shares))


def _position(log_phi: float, shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The logarithm of z."""
    return float(np.sum(np.log1p(math.exp(log_phi) * shares))) - log_phi
