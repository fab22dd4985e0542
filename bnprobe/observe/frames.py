"""Frames of ours that stand between those of the script and of torch.

Who gives a warning says how many frames up the one is that it is about (``stacklevel``), and by that frame's file and module it is shown,
silenced or made an error. One more frame in between makes it another frame. The interpreter has the same trouble with its import system,
and does not count frames whose file has a certain name: ours get such a name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: ``warnings`` passes over files that have both "importlib" and "_bootstrap" in their name; CPython 3.10 to 3.14.
_UNCOUNTED = "<frozen bnprobe, not counted by warnings, as importlib._bootstrap>"


def uncounted(function: _Function) -> _Function:
    """Let a function be called in the place of another: no warning counts its frame.

    Args:
        function: is changed in place; anything but a python function is left alone.

    Returns:
        The same.
    """
    if isinstance(function, FunctionType):
        function.__code__ = _renamed(function.__code__)
    return function


@functools.cache
def _renamed(code: CodeType) -> CodeType:
    return code.replace(co_filename=_UNCOUNTED)
