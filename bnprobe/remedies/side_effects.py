"""Runs a forward of the script a second time without its side effects: what modules hold beside tensors, and what is printed.

A forward may count its calls, keep a list, and print. What it does to objects outside its modules, and what it logs, cannot be taken back.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from bnprobe.module_parts import modules

_CONTAINERS = (list, dict, set, deque)
#: What a module holds its parts in: put back by whoever exchanged them.
_PARTS = {"_parameters", "_buffers", "_modules"}


@contextmanager
def without_side_effects(root: nn.Module) -> Iterator[None]:
    """Put back the attributes of all modules, and the content of lists, dicts and sets among them; print nothing from this thread.

    Args:
        root: whose modules.
    """
    kept = [(vars(module), dict(vars(module))) for module in modules(root)]
    containers = [
        (value, value.copy())
        for _, attributes in kept
        for name, value in attributes.items()
        if name not in _PARTS and type(value) in _CONTAINERS
    ]
    try:
        with muted():
            yield
    finally:
        for now, before in kept:
            for name in now.keys() - before.keys():
                del now[name]
            now.update(before)
        for container, content in containers:
            container.clear()
            container.extend(content) if isinstance(container, list | deque) else container.update(content)


@contextmanager
def muted() -> Iterator[None]:
    """Print nothing from this thread."""
    out, err = sys.stdout, sys.stderr
    streams: tuple[Any, Any] = (_Muted(out), _Muted(err))
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        if sys.stdout is streams[0]:
            sys.stdout = out
        if sys.stderr is streams[1]:
            sys.stderr = err


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore warnings, and leave no trace of it: what ``catch_warnings`` does would let the script's own appear a second time."""
    of_context = getattr(warnings, "_get_filters", None)  # from python 3.14
    filters: Any = warnings.filters if of_context is None else of_context()
    ignore = ("ignore", None, Warning, None, 0)
    filters.insert(0, ignore)
    try:
        yield
    finally:
        filters[:] = [one for one in filters if one is not ignore]


class _Muted:
    """A stream that swallows what one thread writes to it.

    Args:
        stream: where the others write.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Write, unless this is the thread."""
        if threading.get_ident() == self._thread:
            return len(text)
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
