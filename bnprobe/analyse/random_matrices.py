"""What random matrices would do: the edge of the singular values of their products."""

from __future__ import annotations

import math


def edge(count: int) -> float:
    """Largest singular value of a product of independent N x N Gaussian matrices of variance 1/N, for large N.

    Bjorck et al. 2018 (arXiv 1806.02375), section 4.

    Args:
        count: how many are multiplied.

    Returns:
        sqrt((M + 1)^(M + 1) / M^M), in units of the root mean square of all.

    >>> [round(edge(count), 2) for count in (1, 3, 5)]
    [2.0, 3.08, 3.86]
    """
    return math.sqrt((count + 1) ** (count + 1) / count**count)
