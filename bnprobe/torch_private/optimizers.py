"""Steps of optimizers and their hooks; clipping."""

from __future__ import annotations

import sys
from types import CellType, FrameType
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer
from torch.utils.hooks import RemovableHandle


def put_first(handle: RemovableHandle) -> None:
    """Let a hook run before those of its kind that were registered earlier; torch has ``prepend`` for modules' hooks alone. 2.6 to 2.13."""
    hooks = handle.hooks_dict_ref()
    if hooks is not None:
        hooks.move_to_end(handle.id, last=False)


#: Where the function around every optimizer's ``step``, which calls its hooks, is defined, and its name; 2.6 to 2.13. What the compiler
#: makes of it keeps both.
_STEPS_FILE = torch_optimizer.register_optimizer_step_pre_hook.__code__.co_filename
_STEPS_NAME = "wrapper"
#: In the place of hooks that cannot be counted: more than we have.
_UNKNOWN = (None,) * 16


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


def has_other_step_hooks(before: int, after: int) -> bool:
    """Whether more global hooks are called before the steps of optimizers, or after them, than so many; 2.6 to 2.13.

    A hook beside ours may step an optimizer itself, before ours has heard of the step around it, or after ours has heard of its end.

    Args:
        before: hooks of ours before a step.
        after: those after it.

    Returns:
        True as well where it is not known.
    """
    known = getattr(torch_optimizer, "_global_optimizer_pre_hooks", _UNKNOWN)
    return len(known) > before or len(getattr(torch_optimizer, "_global_optimizer_post_hooks", _UNKNOWN)) > after


def step_hooks() -> tuple[dict[int, Any], dict[int, Any]]:
    """Return the global hooks before the steps of optimizers, and those after them: torch's own dictionaries; 2.6 to 2.13."""
    before = getattr(torch_optimizer, "_global_optimizer_pre_hooks", {})
    return before, getattr(torch_optimizer, "_global_optimizer_post_hooks", {})


def clipping_body() -> CellType | None:
    """Return the cell with the function that scales gradients, given their norm; 2.6 to 2.13. None where there is none."""
    clip = getattr(torch.nn.utils.clip_grad, "_clip_grads_with_norm_", None)
    names = getattr(getattr(clip, "__code__", None), "co_freevars", ())
    return dict(zip(names, clip.__closure__ or (), strict=True)).get("func") if clip is not None else None
