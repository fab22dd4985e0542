"""The tape of a live forward: when it begins, and who must not meet it.

A dispatch mode of ours stands in torch's stack from the first module call of a forward with gradient until the backward. Whoever else has
a say there goes first: compiled code, the script's own modes, its profiler, its threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bnprobe.module_parts import parameters
from bnprobe.observe.attaching.module_calls import before_forward
from bnprobe.observe.probes.tape import Recording, Tape
from bnprobe.torch_private import (
    dispatch_depth,
    in_backward,
    is_profiled,
    is_traced,
    is_transformed,
    pop_dispatch_mode,
    push_dispatch_mode,
)


class Taping:
    """Tapes a step's forwards, one after the other: the last one's tape is kept.

    Args:
        on_forward: called when a forward with gradient begins: the step before it is over.
        is_wanted: asked then whether it is to be taped.
        on_begin: told of the new tape, and what the first module was called with.
        on_fault: told of an exception of ours.

    Attributes:
        tape: of the last forward; None where there is none.
        reason: why there is none; "" where nobody has asked for one.
    """

    def __init__(
        self,
        on_forward: Callable[[], None],
        is_wanted: Callable[[], bool],
        on_begin: Callable[[Tape, Any], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self.tape: Tape | None = None
        self.reason = ""
        self._on_forward = on_forward
        self._is_wanted = is_wanted
        self._on_begin = on_begin
        self._on_fault = on_fault
        self._is_attached = False
        self._handle: Any = None
        self._mode: Recording | None = None
        self._suspended: Recording | None = None

    @property
    def is_running(self) -> bool:
        """Whether a forward is being taped at this moment."""
        return self._mode is not None

    def attach(self) -> None:
        """Look out for forwards."""
        self._is_attached = True
        if self._handle is None:
            self._handle = before_forward(self._before_forward)

    def detach(self) -> None:
        """Leave torch alone."""
        self._is_attached = False
        self._step_out()

    def forget(self) -> None:
        """Let the tape go."""
        self.pause()
        self.tape = None

    def pause(self) -> None:
        """Stop taping until the next forward."""
        mode, self._mode = self._mode, None
        if mode is not None:
            remove_mode(mode)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Step aside while compiled code runs: neither a hook nor a mode may be there."""
        self._suspended = self._mode
        self._step_out()
        try:
            yield
        finally:
            mode, self._suspended = self._suspended, None
            if self._is_attached:
                self.attach()
            if mode is not None:
                self._resume(mode)

    @contextmanager
    def shadowing(self, module: torch.nn.Module) -> Iterator[None]:
        """A compiled module is repeated eagerly, on aliases of its parameters: tape that in its place."""
        mode = self._suspended
        if mode is None and self._is_wanted():
            mode = self._new_tape()
        if mode is None:
            yield
            return
        for parameter in parameters(module):
            if parameter.requires_grad:
                mode.tape.find(parameter)  # so that its alias is known by its memory
        self._resume(mode)
        try:
            yield
        finally:
            self.pause()
            self._suspended = mode

    def shadowed(self, output: torch.Tensor, repeated: torch.Tensor) -> None:
        """Say which of a compiled module's outputs its repetition stands for."""
        if self._suspended is not None:
            self._suspended.tape.take_for(output, repeated)

    def _before_forward(self, module: torch.nn.Module, args: Any) -> None:
        """A module is called; if it is the first of a forward with gradient, a tape begins."""
        if self._mode is not None or not torch.is_grad_enabled() or in_backward() or not is_plain_call():
            return
        try:
            self._on_forward()
            if self._is_wanted() and (mode := self._new_tape()) is not None:
                self._on_begin(mode.tape, args)
                self._resume(mode)
        except Exception as error:
            self._on_fault(error)

    def _new_tape(self) -> Recording | None:
        """Return what writes a new tape; None where that cannot be."""
        self.tape = None
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():  # type: ignore[no-untyped-call]
            self.reason = "the forward is captured as a CUDA graph"
        elif threading.current_thread() is not threading.main_thread():
            # A mode belongs to its thread, and only that one could take it away again.
            self.reason = "the forward runs in a thread of its own"
        elif dispatch_depth():
            self.reason = "the script itself watches torch's operations, with a dispatch mode"
        elif is_profiled():
            self.reason = "the script profiles, and a tape would be in its profile"
        else:
            self.tape = Tape()
            return Recording(self.tape)
        return None

    def _resume(self, mode: Recording) -> None:
        self._mode = mode
        # Without entering it: that is for modes that end in the order in which they began.
        push_dispatch_mode(mode)

    def _step_out(self) -> None:
        self.pause()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None


def is_plain_call() -> bool:
    """Whether a module is called to compute, not to be traced, compiled or transformed."""
    return not (torch.compiler.is_compiling() or is_traced() or is_transformed())


def remove_mode(mode: Recording) -> None:
    """Take our mode out of the stack, from under those that the script has entered since."""
    above = []
    while dispatch_depth():
        top = pop_dispatch_mode()
        if top is mode:
            break
        above.append(top)
    for other in reversed(above):
        push_dispatch_mode(other)
