"""Replacements of library functions, made once and undone together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Patches:
    """Replaces attributes of modules and classes and puts them back."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Set ``owner.name`` to ``wrap(owner.name)``."""
        original = getattr(owner, name)
        self._undo.append((owner, name, original))
        setattr(owner, name, wrap(original))

    def undo(self) -> None:
        """Put everything back, last first."""
        while self._undo:
            owner, name, original = self._undo.pop()
            setattr(owner, name, original)
