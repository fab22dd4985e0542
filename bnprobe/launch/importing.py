"""Act right after the script has imported torch, without importing it first.

torch reads its environment when it is imported, so a script that sets ``OMP_NUM_THREADS`` or CUDA variables above its import
must be the first to import it. A finder in front of ``sys.meta_path`` answers for that one name with the spec that python
would have found, and calls back once the module's body has run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class AfterImport(MetaPathFinder):
    """Calls ``action`` once, right after the module ``name`` has been imported."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self._name = name
        self._action = action

    def arm(self) -> None:
        """Wait for the import; or act at once if the module is already there."""
        if self._name in sys.modules:
            self._action()
        else:
            sys.meta_path.insert(0, self)

    def disarm(self) -> None:
        """Wait no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec that the other finders give, its loader told to call back.

        Scripts ask ``importlib.util.find_spec("torch")`` without importing it, so the finder stays in place until a module
        body has run. Those in front were asked before; another of our kind may be behind, which asks those behind it.
        """
        if fullname != self._name or self not in sys.meta_path:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                self._call_back_after(spec)
                return spec
        return None

    def _call_back_after(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        if loader is None:
            return
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # The loader stays with the module for life: give it back as it was. Others of our kind may have done so already.
            loader.__dict__.pop("exec_module", None)
            execute(module)  # a failing import leaves the finder in place for the next attempt
            if self in sys.meta_path:  # a loader that is kept by its finder may have been told twice
                self.disarm()
                self._action()

        # On the instance, not in a wrapper class: inspect and pkgutil keep meeting the loader they know.
        loader.__dict__["exec_module"] = exec_module
