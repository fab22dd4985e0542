"""Frames of ours that stand between those of the script and of torch.

Who gives a warning says how many frames up the one is that it is about (``stacklevel``), and by that frame's file and module it is shown,
silenced or made an error. One more frame in between makes it another frame. The interpreter has the same trouble with its import system,
and does not count frames whose file has a certain name: ours get such a name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType, TracebackType
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: ``warnings`` passes over files that have both "importlib" and "_bootstrap" in their name; CPython 3.10 to 3.14.
_UNCOUNTED = "<frozen bnprobe, not counted by warnings, as importlib._bootstrap>"
#: Test runners go through tracebacks by themselves, and leave out frames in whose names or globals this is true.
_HIDDEN = "__tracebackhide__"
_OUTERMOST: set[CodeType] = set()


def uncounted(function: _Function) -> _Function:
    """Let a function be called in the place of another: no warning counts its frame, and no test runner shows it.

    Args:
        function: is changed in place; anything but a python function is left alone.

    Returns:
        The same.
    """
    if isinstance(function, FunctionType):
        function.__code__ = _renamed(function.__code__)
        function.__globals__[_HIDDEN] = True
    return function


def is_uncounted(code: CodeType) -> bool:
    """Whether code is that of a function which stands in the place of another."""
    return code.co_filename == _UNCOUNTED


def runs_a_script(function: _Function) -> _Function:
    """Let the stack of a script end above a function that executes it."""
    _OUTERMOST.add(function.__code__)
    return function


def is_outermost(code: CodeType) -> bool:
    """Whether code executes a script: what called it is none of the script's business."""
    return code in _OUTERMOST


def clean(error: BaseException) -> None:
    """Take the frames of functions that stand in the place of others out of an exception's traceback, and out of those it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _without_uncounted(one.__traceback__)
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def _without_uncounted(trace: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while trace is not None:
        if not is_uncounted(trace.tb_frame.f_code):
            kept.append(trace)
        trace = trace.tb_next
    first = None
    for entry in reversed(kept):
        entry.tb_next, first = first, entry
    return first


@functools.cache
def _renamed(code: CodeType) -> CodeType:
    return code.replace(co_filename=_UNCOUNTED)
