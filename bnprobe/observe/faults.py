"""Faults of our own inside a training that is not ours: one warning each, and the training goes on."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable


class Guard:
    """A context that reports exceptions and swallows them. A class of its own: it is entered several times a step."""

    __slots__ = ("_faults", "_place")

    def __init__(self, faults: Faults, place: str) -> None:
        self._faults = faults
        self._place = place

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Swallow an exception, unless it ends the program."""
        if not isinstance(error, Exception):
            return False
        self._faults.report(self._place, error)
        return True


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

    def guard(self, place: str) -> Guard:
        """Return a context in which whatever fails is a fault of ours at a place."""
        return Guard(self, place)

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
