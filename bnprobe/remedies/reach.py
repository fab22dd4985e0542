"""What code can change: the objects that it reaches by the names in it.

Python is dynamic, and a name that is put together while code runs is not seen; neither is what lies in slots, or what libraries keep for
themselves. Nothing of the script's is run to find out.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

CONTAINERS = (list, dict, set, deque, OrderedDict, defaultdict)
#: What a module keeps its parts in.
PARTS = ("_parameters", "_buffers", "_modules")
#: Of larger containers the content is not looked through: that may be a data set.
_LOOKED_THROUGH = 1000
_AT_MOST = 20_000
_PLAIN = (int, float, complex, bool, str, bytes, type(None), range, torch.Size, torch.dtype, torch.device)


def reached(roots: Iterable[nn.Module]) -> list[Any]:
    """Return the modules, and what the forward of each, and all that it calls, can reach by name."""
    search = _Search()
    for root in roots:
        search.take(root)
        search.take(vars(root).get("forward", type(root).forward))
    search.follow()
    return list(search.found.values())


def names_in(function: FunctionType) -> set[str]:
    """Return the names of globals and attributes in a function's code, and in that of functions within it."""
    return {name for code in _codes(function.__code__) for name in code.co_names}


def is_of_script(value: FunctionType | type | ModuleType) -> bool:
    """Whether a function, a class or a file is the script's, and not a library's or the interpreter's own."""
    if isinstance(value, FunctionType):
        return not value.__code__.co_filename.startswith(("<frozen", *_library_folders()))
    if isinstance(value, ModuleType):
        path = vars(value).get("__file__") or getattr(vars(value).get("__spec__"), "origin", None)
        return path is None or not str(path).startswith(("<frozen", "frozen", "built-in", *_library_folders()))
    file = sys.modules.get(value.__module__)
    return file is None or is_of_script(file)


class _Search:
    def __init__(self) -> None:
        self.found: dict[int, Any] = {}
        self._names: set[str] = set()

    def take(self, value: Any) -> None:
        """Have an object among those that are reached."""
        if type(value) not in _PLAIN and len(self.found) < _AT_MOST:
            self.found.setdefault(id(value), value)

    def follow(self) -> None:
        """Look until no further name leads to a further object."""
        before = (-1, -1)
        while before != (now := (len(self._names), len(self.found))):
            before = now
            for value in list(self.found.values()):
                for inner in self._inside(value):
                    self.take(inner)

    def _inside(self, value: Any) -> Iterator[Any]:
        kind = type(value)
        if kind is FunctionType:
            yield from self._inside_function(value)
        elif kind is MethodType:
            yield from (value.__func__, value.__self__)
        elif kind is BuiltinFunctionType:
            if not isinstance(value.__self__, ModuleType | type):
                yield value.__self__  # that of a list's append is the list
        elif kind is functools.partial:
            yield from (value.func, *value.args, *value.keywords.values())
        elif kind is property:
            yield value.fget
        elif kind in (staticmethod, classmethod):
            yield value.__func__
        elif kind in CONTAINERS or kind is tuple:
            if len(value) <= _LOOKED_THROUGH:
                yield from value.values() if isinstance(value, dict) else value
        elif issubclass(kind, type):
            if is_of_script(value):
                yield from self._named(vars(value))
                yield from value.__bases__
        elif issubclass(kind, ModuleType):
            if is_of_script(value):
                yield from self._named(vars(value))
        elif not issubclass(kind, torch.Tensor | torch.jit.ScriptModule):
            yield kind
            if kind.__module__ == "functools" and hasattr(value, "__wrapped__"):
                yield value.__wrapped__
            yield from self._named(attributes_of(value))
            if issubclass(kind, nn.Module):
                parts = [vars(value)[name] for name in PARTS]
                yield from parts
                for part in parts:
                    yield from self._named(part)

    def _inside_function(self, function: FunctionType) -> Iterator[Any]:
        cells = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
        if not is_of_script(function):
            # Of a decorator's function the one that it stands for is the script's.
            yield from (value for value in cells if isinstance(value, FunctionType))
            return
        names = names_in(function)
        self._names |= names
        yield from cells
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()
        yield from (function.__globals__[name] for name in names if name in function.__globals__)

    def _named(self, attributes: Any) -> list[Any]:
        return [attributes[name] for name in self._names if name in attributes]


def attributes_of(value: Any) -> dict[str, Any]:
    """Return an object's attributes by name, asking no code of its own; none where it has no dictionary."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except Exception:  # it has slots alone
        return {}
    return held if type(held) is dict else {}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


@functools.cache
def _library_folders() -> tuple[str, ...]:
    folders = [path for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))]
    return tuple(folder + os.sep for folder in (*folders, os.path.dirname(os.path.dirname(torch.__file__))))
