"""Replacements of library functions, made once and undone together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch


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


class Compilation:
    """Whether the script compiles anything: only then must the compiler be kept out of our functions."""

    in_use = False


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep torch.compile from tracing into a function of ours, at no cost to a script that does not use it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (disabled() if Compilation.in_use else function)(*args, **kwargs)

    @functools.cache
    def disabled() -> Callable[..., Any]:
        wrapped: Callable[..., Any] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        return wrapped

    return call
