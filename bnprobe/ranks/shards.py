"""Norms of parameters of which each rank holds a part: squares add up over parts, and copies count once."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_AXIS = re.compile(r"(S-?\d+|R|P) (\d{1,9})/(\d{1,9})")


def part_of(shard: str) -> tuple[tuple[int, ...], int] | None:
    """Return which part of a parameter a rank holds, and of how many; None for partial sums, of which no norm follows.

    >>> part_of("R 1/2, S0 2/4"), part_of(""), part_of("P 0/2")
    (((2,), 4), ((), 1), None)
    """
    axes = _AXIS.findall(shard)
    if any(kind == "P" for kind, _, _ in axes):
        return None
    cut = [(int(place), int(size)) for kind, place, size in axes if kind[0] == "S"]
    return tuple(place for place, _ in cut), int(np.prod([size for _, size in cut], initial=1))


def merged_norm(norms: Array, shards: Sequence[str]) -> Array:
    """Return the norm of a whole parameter.

    Args:
        norms: (R, ...) norms of what each rank holds; NaN where it has none.
        shards: (R,) which part that is.

    Returns:
        (...) the root of the sum of squares over parts, each counted once; NaN where a part is missing.
    """
    parts: dict[tuple[int, ...], Array] = {}
    whole = 1
    for norm, shard in zip(norms, shards, strict=True):
        part = part_of(shard)
        if part is None:
            return np.full(norms.shape[1:], np.nan)
        place, count = part
        whole = max(whole, count)
        parts[place] = np.where(np.isnan(parts[place]), norm, parts[place]) if place in parts else norm
    if len(parts) < whole:
        return np.full(norms.shape[1:], np.nan)
    if whole == 1:
        return next(iter(parts.values()))
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt(np.sum(np.square(np.stack(list(parts.values()))), axis=0)))
