"""Private parts of torch that more than one folder needs, each with the versions in which it was seen."""

from __future__ import annotations

import sys
from types import FrameType

import torch
from torch.optim import optimizer as torch_optimizer

#: Where the function around every optimizer's ``step``, which calls its hooks, is defined, and its name; 2.6 to 2.13. What the compiler
#: makes of it keeps both.
_STEPS_FILE = torch_optimizer.register_optimizer_step_pre_hook.__code__.co_filename
_STEPS_NAME = "wrapper"


def is_inner_step(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the step whose hook is running was called by another one of the same optimizer, as ``super().step()`` is.

    Looked up among the calls that are going on: a step that was left by an exception is none of them.

    Returns:
        True for the inner one of two.
    """
    found = 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and found < 2:
        code = frame.f_code
        if _STEPS_NAME in code.co_name and code.co_filename == _STEPS_FILE:
            found += frame.f_locals.get("self") is optimizer
        frame = frame.f_back
    return found == 2


def gradient_of(parameter: torch.Tensor) -> torch.Tensor | None:
    """Return the gradient that a tensor holds; of one that is no leaf and keeps none torch warns when it is asked."""
    return parameter.grad if parameter.is_leaf or parameter.retains_grad else None
