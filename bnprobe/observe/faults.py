"""Faults of our own inside a training that is not ours: one warning each, and the training goes on."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable


class Faults:
    """Collects faults inside hooks.

    Args:
        strict: raise them instead.
        on_fault: called with (place, reason) once for each place.
    """

    def __init__(self, strict: bool, on_fault: Callable[[str, str], None]) -> None:
        self._strict = strict
        self._on_fault = on_fault
        self._places: set[str] = set()

    def report(self, place: str, error: Exception) -> None:
        """Handle a fault at a place, which its caller no longer observes.

        Raises:
            Exception: the fault itself, in strict mode.
        """
        if self._strict:
            raise error
        if place in self._places:
            return
        self._places.add(place)
        where = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
        at = f" at {where.name}:{where.lineno}" if where else ""
        reason = f"{type(error).__name__}: {str(error)[:300]}{at}"
        print(f"bnprobe: {place}: {reason}; no longer observed, the training goes on", file=sys.stderr, flush=True)
        self._on_fault(place, f"a fault of bnprobe: {reason}")
