"""The tails of a gradient: kurtosis, Hill's exponent, and the histogram of its entries.

Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375, Fig 2. Hill 1975, "A Simple General Approach
to Inference About the Tail of a Distribution", Annals of Statistics 3 (5): with |g|_(1) >= |g|_(2) >= ... the exponent is
1 / mean_{i <= k} ln(|g|_(i) / |g|_(k+1)). Of a density that falls as |g|^-(a + 1) it is a; a Gaussian has no exponent, and gives one that
is large and grows as k becomes smaller.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

#: Bins of a histogram, odd, so that zero is the middle of one.
BINS = 81
#: Shares of the entries that count as the tail: the exponent is that of the second, its range that of all.
SHARES = (0.005, 0.01, 0.02, 0.05)
USUAL = 1
#: Entries below which there is no tail.
FEWEST = 400


class Tail(NamedTuple):
    """The distribution of a gradient's entries.

    Attributes:
        kurtosis: mean (g - mean)^4 / var^2: 3 for a Gaussian.
        exponent: Hill's, of the largest one per cent; NaN with too few entries.
        low: smallest exponent over all shares.
        high: largest.
        rms: root mean square.
        largest: largest |g|.
        counts: (BINS,) entries between -largest and largest, in bins of equal width.
    """

    kurtosis: float
    exponent: float
    low: float
    high: float
    rms: float
    largest: float
    counts: torch.Tensor


def tail(gradient: torch.Tensor) -> Tail | None:
    """Describe the entries of a gradient.

    Args:
        gradient: of any shape.

    Returns:
        Its distribution; None where an entry is not finite, or all are zero.
    """
    entries = gradient.detach().double().flatten().cpu()
    if not entries.numel() or not bool(torch.isfinite(entries).all()) or not bool((entries != 0).any()):
        return None
    centred = entries - entries.mean()
    square = float(centred.square().mean())
    size = entries.abs()
    largest = float(size.max())
    exponents = [hill(size, max(2, round(share * size.numel()))) for share in SHARES] if size.numel() >= FEWEST else []
    return Tail(
        kurtosis=float((centred / square**0.5).pow(4).mean()) if square > 0 else float("nan"),
        exponent=exponents[USUAL] if exponents else float("nan"),
        low=min(exponents, default=float("nan")),
        high=max(exponents, default=float("nan")),
        rms=float(entries.square().mean().sqrt()),
        largest=largest,
        counts=torch.histc(entries / largest, BINS, -1.0, 1.0),
    )


def hill(size: torch.Tensor, k: int) -> float:
    """Hill's exponent of the k largest of some numbers.

    Args:
        size: (n,), not negative.
        k: how many, below n.

    Returns:
        The exponent; NaN where they are all alike.

    >>> hill(torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64), 2)  # 1 / mean(ln 4, ln 2)
    0.9617966939259757
    """
    top = torch.topk(size, k + 1).values
    mean = float((top[:k] / top[k]).log().mean()) if float(top[k]) > 0 else float("nan")
    return 1.0 / mean if mean > 0 else float("nan")
