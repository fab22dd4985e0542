"""Replacements of library functions, made once and undone together.

Nothing public that a script may pickle, script or hand on is to become another object: a replacement goes below the public function, into
a global that it looks up or a cell that it closes over. While compiled code runs everything is put back, so that the compiler traces
and guards what it would have without us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CellType
from typing import Any

from bnprobe.observe.attaching.frames import uncounted
from bnprobe.torch_private import skip_when_compiling


@dataclass(frozen=True)
class _Replacement:
    """One function in the place of another.

    Attributes:
        owner: the module or class, or the cell.
        name: the attribute; ``cell_contents`` of a cell.
        original: what stood there.
        ours: what stands there now.
        inherited: whether a class had it from its base.
        stays: whether it stays there while compiled code runs.
    """

    owner: Any
    name: str
    original: Any
    ours: Any
    inherited: bool
    stays: bool

    def restore(self) -> None:
        """Put back what stood there, unless the script has put something of its own over ours: that stays, and so does what it calls."""
        if not self.stands:
            return
        if self.inherited:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.original)

    @property
    def stands(self) -> bool:
        """Whether ours is what is found there."""
        return getattr(self.owner, self.name, None) is self.ours


class Patches:
    """Replaces attributes of modules and classes, and what functions close over, registers global hooks, and puts everything back."""

    def __init__(self) -> None:
        self._made: list[_Replacement] = []
        self._hooks: list[tuple[Callable[[Any], Any], Any]] = []
        self._counts: dict[Callable[[Any], Any], int] = {}  # asked at every step
        self._handles: list[Any] = []
        self._skipped: set[int] = set()

    def replace(self, owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]], *, stays: bool = False) -> None:
        """Set ``owner.name`` to ``wrap(owner.name)``.

        Args:
            owner: a module or a class; a cell, with ``cell_contents`` for a name.
            name: of the attribute.
            wrap: makes the replacement.
            stays: keep it while compiled code runs: for what only torch's own code calls, and the compiler skips.
        """
        original = getattr(owner, name)
        ours = uncounted(wrap(original))
        inherited = not isinstance(owner, CellType) and name not in vars(owner)
        self._made.append(_Replacement(owner, name, original, ours, inherited, stays))
        setattr(owner, name, ours)

    def hook(self, register: Callable[[Any], Any], hook: Callable[..., Any]) -> None:
        """Register a global hook of torch."""
        self._hooks.append((register, hook))
        self._counts[register] = self._counts.get(register, 0) + 1
        self._handles.append(register(hook))

    def hooks_of(self, register: Callable[[Any], Any]) -> int:
        """Return how many hooks of a kind are ours."""
        return self._counts.get(register, 0)

    def undo(self) -> None:
        """Put everything back, last first."""
        while self._made:
            self._made.pop().restore()
        self._hooks.clear()
        self._counts.clear()
        self._unhook()

    def _unhook(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    @contextmanager
    def unhooked(self) -> Iterator[None]:
        """Have no hook meanwhile: the compiler would trace it."""
        was_hooked = bool(self._handles)
        self._unhook()
        try:
            yield
        finally:
            if was_hooked:
                self._handles = [register(hook) for register, hook in self._hooks]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let compiled code run as if nothing had been replaced or hooked."""
        for one in self._made:
            if one.stays and id(one.ours) not in self._skipped:
                self._skipped.add(id(one.ours))
                skip_when_compiling(one.ours)
        put = [one for one in reversed(self._made) if not one.stays and one.stands]
        for one in put:
            one.restore()
        try:
            with self.unhooked():
                yield
        finally:
            for one in reversed(put):
                if getattr(one.owner, one.name) is one.original:
                    setattr(one.owner, one.name, one.ours)


class Compilation:
    """Whether the script compiles anything: only then must the compiler be kept out of our functions."""

    in_use = False
