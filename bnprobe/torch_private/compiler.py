"""The compiler: what it is to leave alone, and what it puts on modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def skip_when_compiling(function: Callable[..., Any]) -> None:
    """Let torch.compile run a function's own frame as it is; what it calls is compiled as ever. 2.6 to 2.13; imports the compiler."""
    from torch._dynamo import decorators

    decorators.skip_code(function.__code__)  # type: ignore[attr-defined]


#: Set what is called with every frame that is about to run, in this thread; return what was. None compiles nothing. A function of C: no
#: frame of its own runs. 2.6 to 2.13; imports no compiler.
set_frame_compiler: Callable[[Any], Any] = torch._C._dynamo.eval_frame.set_eval_frame

#: Attributes of a module that ``torch.compile`` returned, and of one that was compiled in place; 2.6 to 2.13.
ORIGINAL_MODULE = "_orig_mod"
COMPILED_CALL = "_compiled_call_impl"


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a function out of compiled graphs, lazily: a script that does not compile must not import the compiler for it. 2.6 to 2.13."""

    def call(*args: Any) -> Any:  # a function of its own: torch sets an attribute on it, and a method takes none
        return function(*args)

    disable: Callable[[Any], Any] = getattr(torch, "_disable_dynamo", lambda function: function)
    return disable(call)  # type: ignore[no-any-return]
