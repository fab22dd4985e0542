"""Which cases of a parametrised test are in the short suite: it has to end within minutes, and one case of a kind shows most of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def shortened(cases: Iterable[Any], count: int) -> list[Any]:
    """Return the cases, all but the first `count` of them marked slow."""
    return [_slow(case) if place >= count else case for place, case in enumerate(cases)]


def shortened_to(cases: Iterable[Any], short: Collection[Any]) -> list[Any]:
    """Return the cases, all but those of `short` marked slow.

    Raises:
        ValueError: one of `short` is no case, so that a renamed one does not leave the short suite unnoticed.
    """
    cases = list(cases)
    if unknown := set(short) - set(cases):
        raise ValueError(f"no such case: {sorted(unknown)}")
    return [case if case in short else _slow(case) for case in cases]


def _slow(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.slow])
