"""What calls a script, as far as warnings can tell: nothing.

A warning says how many frames up the one is that it is about. Where a script calls at its top, and the warning is about the caller of the
script, plain python finds no frame and names the ``sys`` module instead. Under a launcher it would find the launcher's frames, and show its
file and line. So the frames right above a script are functions that look, to warnings, like what they find where nothing is left.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from bnprobe.observe.attaching.frames import runs_a_script

#: Frames that can be asked for beyond the script's own; who gives warnings asks for a few.
FRAMES = 12
_MORE_THAN_ANY = 10**6


def with_nothing_above(function: Callable[[], Any]) -> None:
    """Call a function that executes a script."""
    for _ in range(FRAMES):
        function = functools.partial(runs_a_script(FunctionType(_calling(), vars(sys))), function)
    function()


def is_nothing(code: CodeType) -> bool:
    """Whether a frame's code is that of a function that stands for nothing."""
    return code is _calling()


@functools.cache
def _calling() -> CodeType:
    """Return the code of a function that calls another, in the file and at the line that warnings give to nothing."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        warnings.warn("of nobody", UserWarning, stacklevel=_MORE_THAN_ANY)
    call: Callable[..., Any] = lambda function: function()  # noqa: E731 - one line, which is moved
    return call.__code__.replace(co_filename=given[0].filename, co_firstlineno=given[0].lineno)
