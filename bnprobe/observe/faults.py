"""Faults of our own inside a training that is not ours: one warning each, and the training goes on.

What the script raises is the script's, even where it arrives inside a hook of ours: the handler of an alarm may run between any two of our
instructions, and another thread may send an exception. It goes on to whoever the script meant it for.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from bnprobe.originals import Original

#: Where faults of ours can come from: exceptions defined here, and frames of code that lies here.
_OURS = ("bnprobe", "torch", "numpy", "h5py")


class Guard:
    """A context that reports exceptions and swallows them. A class of its own: it is entered several times a step."""

    __slots__ = ("_faults", "_place")

    def __init__(self, faults: Faults, place: str) -> None:
        self._faults = faults
        self._place = place

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Swallow an exception, unless it ends the program or belongs to the script."""
        if not isinstance(error, Exception) or is_the_scripts(error):
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
            Exception: the fault itself, in strict mode or where it is the script's own exception.
        """
        if self._strict or is_the_scripts(error):
            raise error
        if place in self._places:
            return
        self._places.add(place)
        where = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
        at = f" at {where.name}:{where.lineno}" if where else ""
        reason = f"{type(error).__name__}: {str(error)[:300]}{at}"
        print(f"bnprobe: {place}: {reason}; no longer observed, the training goes on", file=sys.stderr, flush=True)
        self._on_fault(place, f"a fault of bnprobe: {reason}")


def is_the_scripts(error: BaseException) -> bool:
    """Whether an exception that was caught in a hook of ours was raised by the script for itself.

    It is where a signal's handler stands in the traceback. And it is where another thread has sent it (``PyThreadState_SetAsyncExc``):
    then no code of the script stands in the traceback, and its class is the script's, or a plain builtin that nothing has described. An
    exception out of code of the script that we called ourselves, a property of a module, say, is a fault of ours.

    Returns:
        True where it has to reach the script.
    """
    codes = [frame.f_code for frame in _frames(error.__traceback__)]
    if not _handlers().isdisjoint(codes):
        return True
    if not all(_is_library(code) for code in codes):
        return False
    kind = type(error)
    if kind.__module__ == "builtins":
        # Ours and the libraries' say what is wrong; an assertion or a lack of memory need not.
        return not error.args and not isinstance(error, AssertionError | MemoryError | StopIteration)
    return kind.__module__.partition(".")[0] not in (*_OURS, *sys.stdlib_module_names)


def let_through(error: BaseException) -> None:
    """Raise what the script has raised, where that is what an exception of ours was made from.

    Raises:
        BaseException: the script's.
    """
    origin: BaseException | None = error
    while origin is not None:
        if is_the_scripts(origin):
            raise origin
        origin = origin.__cause__


def _frames(trace: TracebackType | None) -> Iterator[Any]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _handlers() -> set[CodeType]:
    """Return the code of the signal handlers that are installed now."""
    found: set[CodeType] = set()
    for number in signal.valid_signals():
        handler: Any = Original.getsignal(number)
        handler = getattr(handler, "func", handler)  # functools.partial
        handler = getattr(handler, "__func__", handler)  # a bound method
        if not hasattr(handler, "__code__") and callable(handler) and not isinstance(handler, type | int):
            handler = type(handler).__call__  # an object that is called
        code = getattr(handler, "__code__", None)
        if code is not None:
            found.add(code)
    return found


def _is_library(code: CodeType) -> bool:
    """Whether code lies in a library or is the interpreter's own, and not in the script."""
    return code.co_filename.startswith(("<frozen", *_library_folders()))


@functools.cache
def _library_folders() -> tuple[str, ...]:
    folders = [path for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))]
    modules = [sys.modules[name] for name in _OURS if name in sys.modules]  # wherever they were installed
    return tuple(folder + os.sep for folder in (*folders, *(str(Path(module.__file__).parent) for module in modules if module.__file__)))
