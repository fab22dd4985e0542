"""Leaves a training as it was after somebody ran a backward through its graph: random numbers, buffers, and the script's own hooks.

A backward draws random numbers and moves buffers where it recomputes a checkpointed forward; it calls the hooks that the script has put on
tensors and modules, who may count, print, or keep what they are given; it adds to the gradients that tensors were told to retain; and
torch warns of what it meets.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.hooks import BackwardHook

from bnprobe.identity import IdentitySet
from bnprobe.observe.attaching.frames import uncounted
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.compiled.modules import random_states, set_random_states
from bnprobe.remedies.side_effects import without_warnings
from bnprobe.torch_private import CHECKPOINTS, SELECTIVE_CHECKPOINT, holds_numbers, user_modes_disabled, version_kept


class ScriptHooks:
    """Silences the backward hooks that the script registers, on request, and the retaining of gradients."""

    def __init__(self) -> None:
        self._silent = False
        self._retaining: IdentitySet[torch.Tensor] = IdentitySet()
        self._packing = 0
        #: What the script's own hooks have packed since the step began: they may be able to unpack it once.
        self.has_packed = False
        #: Whether a checkpoint has been entered since the step began: a backward through it runs its block again.
        self.has_checkpointed = False

    def attach(self, patches: Patches) -> None:
        """Watch what is registered from now on."""
        patches.replace(torch.Tensor, "register_hook", self._seeing_tensor_hooks)
        patches.replace(torch.Tensor, "retain_grad", self._seeing_retained_gradients)
        patches.replace(BackwardHook, "__init__", self._seeing_module_hooks)
        patches.replace(saved_tensors_hooks, "__enter__", functools.partial(self._seeing_packing, 1))
        patches.replace(saved_tensors_hooks, "__exit__", functools.partial(self._seeing_packing, -1))
        if SELECTIVE_CHECKPOINT is not None:
            patches.replace(SELECTIVE_CHECKPOINT, "__init__", self._seeing_selections)

    def begin_step(self) -> None:
        """Another step begins."""
        self.has_packed = self._packing > 0
        self.has_checkpointed = False

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Call none of them: as hooks that return None, they change no gradient. Gradients that are retained stay as they are."""
        retained = [(tensor, tensor.grad) for tensor in self._retaining]
        self._silent = True
        try:
            with without_warnings():
                yield
        finally:
            self._silent = False
            for tensor, gradient in retained:
                tensor.grad = gradient

    def _seeing_tensor_hooks(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def register_hook(tensor: torch.Tensor, hook: Callable[..., Any]) -> Any:
            return original(tensor, hook if torch.compiler.is_compiling() else self._silenceable(hook))

        return register_hook

    def _seeing_retained_gradients(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def retain_grad(tensor: torch.Tensor) -> None:
            original(tensor)
            if not torch.compiler.is_compiling():
                with user_modes_disabled():
                    if not tensor.is_leaf:
                        self._retaining.add(tensor)

        return retain_grad

    def _seeing_packing(self, change: int, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def change_hooks(hooks: Any, *args: Any) -> Any:
            self.has_checkpointed |= type(hooks).__module__ == CHECKPOINTS
            # Those of torch, that move to the host or compute again, do so as often as they are asked.
            if type(hooks) is saved_tensors_hooks or not type(hooks).__module__.startswith("torch."):
                self._packing += change
                self.has_packed = True
            return original(hooks, *args)

        return change_hooks

    def _seeing_selections(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A selective checkpoint is the one of torch's that can be gone through once only."""

        @functools.wraps(original)
        def __init__(mode: Any, *args: Any, **kwargs: Any) -> None:
            self.has_packed = True
            original(mode, *args, **kwargs)

        return __init__

    def _seeing_module_hooks(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(self_: Any, module: Any, hooks: Iterable[Any], before: Iterable[Any]) -> None:
            original(self_, module, [self._silenceable(hook) for hook in hooks], [self._silenceable(hook) for hook in before])

        return __init__

    def _silenceable(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        @uncounted
        @functools.wraps(hook)
        def call(*args: Any, **kwargs: Any) -> Any:
            return None if self._silent else hook(*args, **kwargs)

        return call


@contextmanager
def state_kept(buffers: Iterable[torch.Tensor]) -> Iterator[None]:
    """Put back every random state, and the buffers that were written to."""
    kept = [(buffer, buffer.detach().clone()) for buffer in buffers if holds_numbers(buffer)]
    states, own = random_states(), random.getstate()
    numpy = sys.modules.get("numpy")
    theirs = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        set_random_states(states)
        random.setstate(own)
        if numpy is not None:
            numpy.random.set_state(theirs)
        for buffer, copy in kept:
            # Batch norm moves its averages without counting a version; a backward that is still to come must not find one counted.
            if not torch.equal(buffer, copy):
                with torch.no_grad(), version_kept(buffer):
                    buffer.copy_(copy)
