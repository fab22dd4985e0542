"""Modes, subclasses and profilers of the script: none of them is to meet an operation that is not the script's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch.utils import _python_dispatch

#: Contexts of C; 2.6 to 2.13.
TorchFunctionDisabled: Callable[[], AbstractContextManager[Any]] = torch._C.DisableTorchFunction
TorchFunctionEnabled: Callable[[], AbstractContextManager[Any]] = torch._C._EnableTorchFunction
AutocastDisabled: Any = torch._C._DisableAutocast
BelowAutograd: Any = torch._C._AutoDispatchBelowAutograd

#: The dispatch modes of this thread; 2.6 to 2.13.
dispatch_depth: Callable[[], int] = torch._C._len_torch_dispatch_stack
push_dispatch_mode: Callable[[Any], None] = torch._C._push_on_torch_dispatch_stack
dispatch_modes_disabled: Callable[[], AbstractContextManager[Any]] = _python_dispatch._disable_current_modes
DispatchMode = _python_dispatch.TorchDispatchMode


def pop_dispatch_mode() -> Any:
    """Take the last dispatch mode off and return it."""
    return torch._C._pop_torch_dispatch_stack(None)


#: Whether the script profiles, and a switch of this thread for what its profiler is told of; 2.6 to 2.13.
is_profiled: Callable[[], bool] = torch._C._autograd._profiler_enabled
_tell_profiler: Callable[[bool], None] = torch._C._autograd._enable_record_function
_unprofiled = threading.local()

#: What every profiler calls before it begins; 2.6 to 2.13.
PROFILER, BEGIN_PROFILING = torch.autograd.profiler.profile, "_prepare_trace"


def user_modes_disabled() -> AbstractContextManager[Any]:
    """Return a context in which no mode, no tensor subclass and no profiler of the script sees what is done."""
    if dispatch_depth() == 0 and not is_profiled():
        return TorchFunctionDisabled()
    stack = ExitStack()
    stack.enter_context(TorchFunctionDisabled())
    stack.enter_context(dispatch_modes_disabled())
    stack.enter_context(_profiler_untold())
    return stack


@contextlib.contextmanager
def _profiler_untold() -> Iterator[None]:
    # Torch does not say how the switch stands: of contexts within each other the outermost turns it.
    if getattr(_unprofiled, "is_on", False) or not is_profiled():
        yield
        return
    _unprofiled.is_on = True
    _tell_profiler(False)
    try:
        yield
    finally:
        _tell_profiler(True)
        _unprofiled.is_on = False
