"""Room for a recursion that fits the script's own limit.

What measures a module needs some frames of its own below the deepest. And where global hooks serve (``module_calls``) torch calls a module
through one function more: a network of nested modules takes four frames a module instead of three. The limit is raised by that much, and
the script is told the one it knows.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any

from bnprobe.observe.attaching.module_calls import seeing_code
from bnprobe.observe.attaching.patches import Patches

#: Frames that measuring takes below the deepest module, and more.
OWN_FRAMES = 150
#: The largest number that the interpreter takes.
LARGEST = 2**31 - 1


class RecursionRoom:
    """Raises the recursion limit while the recorder is attached."""

    def __init__(self) -> None:
        self._limit: int | None = None

    def attach(self, patches: Patches) -> None:
        """Make room."""
        self._limit = sys.getrecursionlimit()
        sys.setrecursionlimit(with_room(self._limit))
        patches.replace(sys, "getrecursionlimit", self._telling)
        patches.replace(sys, "setrecursionlimit", self._setting)

    def detach(self) -> None:
        """Put the script's own limit back, once nothing is replaced any more."""
        limit, self._limit = self._limit, None
        if limit is not None:
            with contextlib.suppress(RecursionError):  # it is deeper than that just now
                sys.setrecursionlimit(limit)

    def _telling(self, original: Callable[[], int]) -> Callable[[], int]:
        @functools.wraps(original)
        def getrecursionlimit() -> int:
            return original() if self._limit is None else self._limit

        return getrecursionlimit

    def _setting(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def setrecursionlimit(limit: Any, /) -> None:
            if self._limit is None or not isinstance(limit, int) or not 0 < limit <= LARGEST:
                original(limit)
                return
            original(with_room(limit))
            self._limit = limit

        return setrecursionlimit


def with_room(limit: int) -> int:
    """Return the limit under which a recursion fits as it does under another without hooks."""
    more = 0 if seeing_code() is not None else limit // 3
    return min(limit + more + OWN_FRAMES, LARGEST)
