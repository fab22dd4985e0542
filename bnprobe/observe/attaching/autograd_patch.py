"""Backward passes and the loss they start from.

``torch.autograd.backward``, ``torch.autograd.grad`` and ``Tensor.backward`` end in one private function, which gets tuples from all of
them. That one is replaced: the public functions stay what they are, so that iterators are read once, by torch, TorchScript knows them, and
they can be pickled. A gradient scaler multiplies the loss first; what it was given is remembered, so that the recorded loss is the script's
own.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bnprobe.identity import OwnReference
from bnprobe.observe.attaching.optimizers import PassesSteps
from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import (
    BACKWARD_OWNERS,
    RUN_BACKWARD,
    BackwardCall,
    answers_itself,
    at_hand,
    backward_call,
    in_backward,
    is_batched,
    is_imaginary,
    set_frame_compiler,
    user_modes_disabled,
)


class BackwardTaps:
    """Tells of every backward the script starts (not of those inside another).

    Args:
        on_backward: called with (loss, scale, tensors) before the backward: numbers or detached tensors, the loss unscaled;
            scale is None without a scaler; the tensors whose graph it goes through.
        before_backward: called after it, with (losses, is plain, scale): the live tensors the backward starts from, as they will be used;
            plain, when asked, is one that starts from scalars with a gradient of 1 and goes to all leaves. None where nobody looks at the
            graph.
        after_backward: called when it has run, with the gradients of parameters where they are returned rather than stored.
        on_failed: called when it has raised.
        on_gap: called with (subject, reason) for a backward whose loss cannot be told.
        mute: called with +1 and -1 around gradients that are no training's: penalties, curvature.
        on_inner: called with (outputs, inputs) before such a gradient whose graph is kept, or that can be differentiated again.
    """

    def __init__(
        self,
        on_backward: Callable[[torch.Tensor | float | None, torch.Tensor | None, Any], None],
        after_backward: Callable[[dict[int, torch.Tensor] | None], None],
        before_backward: Callable[[list[torch.Tensor], Callable[[], bool], torch.Tensor | None], None] | None,
        on_failed: Callable[[], None],
        on_gap: Callable[[str, str], None],
        mute: Callable[[int], None],
        on_inner: Callable[[list[torch.Tensor], list[torch.Tensor]], None] | None = None,
    ) -> None:
        self._on_backward = on_backward
        self._after_backward = after_backward
        self._before_backward = before_backward
        self._on_failed = on_failed
        self._on_gap = on_gap
        self._mute = mute
        self._on_inner = on_inner
        #: Notes steps that are as the one before.
        self.passing: PassesSteps | None = None
        # Gradients that the recorder itself asks for, in this thread, are none of the script's.
        self._own = threading.local()
        # id(scaled loss) -> (scaled loss, loss), for the open step, and the factor last used in it.
        self._scaled: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}
        self._scale: torch.Tensor | None = None

    def attach(self, patches: Patches) -> None:
        """Watch backward passes."""
        for owner in BACKWARD_OWNERS:
            patches.replace(owner, RUN_BACKWARD, self._seeing_backward, stays=True)
        patches.replace(torch.amp.GradScaler, "scale", self._seeing_scale)

    def end_step(self) -> None:
        """Forget what was scaled: the step is over."""
        self._scaled.clear()
        self._scale = None

    def _seeing_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def run_backward(*args: Any, **kwargs: Any) -> Any:
            passing = self.passing
            if passing is not None and passing.backward(args, kwargs):
                try:
                    result = original(*args, **kwargs)
                except BaseException:
                    self._aside(self._on_failed)
                    raise
                if not passing.backward_ended():  # something was told meanwhile
                    self._aside(self._after_backward, None)
                return result
            # Called from compiled code, too: from here on no frame of ours is the compiler's to see.
            compiler = set_frame_compiler(None)
            try:
                ended, failed = self._begin(args, kwargs)
                set_frame_compiler(compiler)
                try:
                    result = original(*args, **kwargs)
                except BaseException:
                    set_frame_compiler(None)
                    failed()
                    raise
                set_frame_compiler(None)
                ended(result)
                return result
            finally:
                set_frame_compiler(compiler)

        return run_backward

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Callable[[Any], None], Callable[[], None]]:
        """Tell of a backward; return what is to be called with its result, and what if it fails."""
        if in_backward() or getattr(self._own, "is_running", False):
            return _ignore, _ignore  # reentrant checkpointing, inside a backward that was seen; or a question of ours
        call = backward_call(args, kwargs)
        with user_modes_disabled():
            leaves = trained_leaves(call)
            if leaves is not None:
                self._aside(self._on_backward, self._loss(call.outputs), self._scale, call.outputs)
        if leaves is None:
            if self._on_inner is not None and call.keeps_graph and not call.accumulates:
                self._aside(self._on_inner, _tensors(call.outputs), _tensors(call.inputs))
            self._mute(1)
            return lambda result: self._mute(-1), lambda: self._mute(-1)
        if self._before_backward is not None:
            self._aside(self._before_backward, _tensors(call.outputs), functools.partial(_is_plain, call), self._scale)

        def ended(result: Any) -> None:
            gradients = None
            if not call.accumulates:
                with user_modes_disabled():
                    gradients = _returned(leaves, result)
            self._aside(self._after_backward, gradients)

        return ended, functools.partial(self._aside, self._on_failed)

    def _aside(self, tell: Callable[..., None], *arguments: Any) -> None:
        """Tell the recorder, who may ask for gradients of its own."""
        self._own.is_running = True
        try:
            tell(*arguments)
        finally:
            self._own.is_running = False

    def _seeing_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            factor = getattr(scaler, "_scale", None)
            if scaler.is_enabled() and isinstance(factor, torch.Tensor):
                with user_modes_disabled():
                    self._scale = factor.detach().clone()
                    for before, after in zip(_sequence(outputs), _sequence(result), strict=False):
                        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor) and not answers_itself(before):
                            self._scaled[id(after)] = (OwnReference(after), before.detach().clone())
            return result

        return scale

    def _loss(self, outputs: Sequence[Any]) -> torch.Tensor | float | None:
        """Return the scalar that is descended, unscaled: the sum where there are several. A copy: some scripts change it in place."""
        if self._scale is None and len(outputs) == 1 and type(outputs[0]) is torch.Tensor and outputs[0].numel() == 1:
            return at_hand(outputs[0])
        if any(isinstance(output, torch.Tensor) and answers_itself(output) for output in outputs):
            self._on_gap("the loss of some backward calls", "backward started from a tensor whose class computes by code of its own")
            return None
        if not outputs or any(not isinstance(output, torch.Tensor) or output.numel() != 1 for output in outputs):
            self._on_gap("the loss of some backward calls", "backward started from a tensor that is not one number")
            return None
        parts = [self._unscaled(tensor) for tensor in outputs]
        return parts[0] if len(parts) == 1 else torch.stack([part.reshape(()) for part in parts]).sum()

    def _unscaled(self, loss: torch.Tensor) -> torch.Tensor:
        known = self._scaled.get(id(loss))
        if known is not None and known[0]() is loss:
            return known[1]
        copy = loss.detach().clone()
        # Scaled and then changed: scaling is linear, so dividing is right whatever the script did in between.
        return copy if self._scale is None else copy / self._scale


def _ignore(*result: Any) -> None:
    pass


def _sequence(tensors: Any) -> Sequence[Any]:
    """Return losses that were scaled together; an iterator is the script's to read."""
    return tensors if isinstance(tensors, list | tuple) else (tensors,)


def _tensors(outputs: Sequence[Any]) -> list[torch.Tensor]:
    return [output for output in outputs if isinstance(output, torch.Tensor)]


def _is_plain(call: BackwardCall) -> bool:
    """Whether a backward starts from scalars with a gradient of 1 and goes to every leaf."""
    if not call.outputs or (call.inputs and call.accumulates):
        return False
    with user_modes_disabled():
        return all(
            isinstance(loss, torch.Tensor)
            and not answers_itself(loss)  # before its size is asked for: some compute even that by themselves
            and loss.numel() == 1
            and loss.requires_grad
            and (gradient is None or (not answers_itself(gradient) and bool((gradient.detach() == 1).all())))
            for loss, gradient in zip(call.outputs, call.gradients, strict=True)
        )


def trained_leaves(call: BackwardCall) -> Sequence[Any] | None:
    """Return what a training's backward goes to, nothing for all leaves; None where it is somebody else's gradient.

    Training by ``torch.autograd.grad(loss, parameters)`` is one gradient of a scalar with respect to leaves, after which the graph is gone.
    What has no numbers (shapes that are tried out on the meta device, a compiler that traces) is no training.
    """
    outputs = _tensors(call.outputs)
    if any(map(is_imaginary, outputs)):
        return None
    if call.accumulates:
        return call.inputs
    is_one = len(call.outputs) == len(outputs) == 1 and (answers_itself(outputs[0]) or outputs[0].numel() == 1)
    if call.keeps_graph or not is_one or any(map(is_batched, call.gradients)):
        return None
    is_training = all(isinstance(leaf, torch.nn.Parameter) and leaf.is_leaf and leaf.requires_grad for leaf in call.inputs)
    return call.inputs if is_training else None


def _returned(leaves: Sequence[Any], gradients: Sequence[torch.Tensor | None]) -> dict[int, torch.Tensor]:
    found = {id(leaf): gradient for leaf, gradient in zip(leaves, gradients, strict=True) if gradient is not None}
    return {key: gradient if answers_itself(gradient) else gradient.detach() for key, gradient in found.items()}
