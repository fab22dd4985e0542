"""What our imports find while a script runs beside which lie modules that are called as those of the library: the library's.

A script's ``statistics.py`` is for the script alone. The recorder is imported when the script imports torch, by when the script's folder is
the first of ``sys.path``: an ``import statistics`` of ours would execute a file that the script has not asked for, or get a module without
a ``median``. While one of our modules is imported, and wherever ``ours`` says so, ``sys.modules`` holds the library's modules for such
names, and what is not there yet is looked for where it was before the script began. Afterwards the script's are back.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def part(names: Iterable[str], path: list[str]) -> None:
    """Take modules out of ``sys.modules``, for the imports of the script; ours find them from now on.

    Args:
        names: those of modules and packages that lie beside the script, too.
        path: where ours are looked for.
    """
    global _path, _finder
    _path = list(path)
    if _finder is not None:
        _finder.remove()
    if wanted := frozenset(names):
        _finder = _Finder(wanted, _path)


def path() -> list[str]:
    """Return where our modules and those that we need are found: ``sys.path`` without what the script has added."""
    return list(sys.path if _path is None else _path)


@contextmanager
def ours() -> Iterator[None]:
    """Let imports find our modules. For code that imports others' modules as it runs; our own see to it as they are imported."""
    finder = _finder
    if finder is None:
        yield
        return
    finder.enter()
    try:
        yield
    finally:
        finder.leave()


class _Finder(MetaPathFinder):
    """Exchanges the modules of some names while ours are imported.

    Args:
        names: top-level names.
        path: where ours are looked for.
    """

    def __init__(self, names: frozenset[str], path: list[str]) -> None:
        self._names = names
        self._path = path
        self._depth = 0  # of imports of ours inside each other, or in several threads
        self._lock = threading.Lock()
        self._others = self._taken()  # the modules whose turn it is not
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Leave ``sys.modules`` as it is from now on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def enter(self) -> None:
        """Ours are to be found."""
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._exchange()

    def leave(self) -> None:
        """The script's are to be found again, unless another of our imports is not over."""
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._exchange()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find what ours ask for; see to it that a module of ours is executed among ours."""
        if path is None:
            return PathFinder.find_spec(fullname, self._path) if self._depth and fullname in self._names else None
        if not fullname.startswith(f"{__package__}."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._execute_among_ours(spec)
        return spec

    def _execute_among_ours(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        assert loader is not None
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            loader.__dict__.pop("exec_module", None)  # it stays with the module for life
            self.enter()
            try:
                execute(module)
            finally:
                self.leave()

        loader.__dict__["exec_module"] = exec_module

    def _exchange(self) -> None:
        others = self._others
        self._others = self._taken()
        sys.modules.update(others)

    def _taken(self) -> dict[str, ModuleType]:
        found = [name for name in list(sys.modules) if name.partition(".")[0] in self._names]
        return {name: sys.modules.pop(name) for name in found}


_path: list[str] | None = None
_finder: _Finder | None = None
