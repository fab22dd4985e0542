"""Arithmetic of the recorder's own, which neither raises nor warns, whatever the script has told numpy.

``np.seterr(all="raise")`` is for the script's numbers. Ours go where theirs have gone: a float64 that is too small for float32 is zero
there, and one that is too large infinite.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def unchecked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a function with numpy's checks of floating-point arithmetic switched off."""

    @functools.wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return run
