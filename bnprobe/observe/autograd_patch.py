"""Backward passes and the loss they start from.

``Tensor.backward`` calls ``torch.autograd.backward`` through its module, so one replacement sees both. A gradient scaler multiplies the
loss first; what it was given is remembered, so that the recorded loss is the script's own.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.patches import Patches, untraced
from bnprobe.observe.torch_private import at_hand, user_modes_disabled


class BackwardTaps:
    """Tells of every backward the script starts (not of those inside another).

    Args:
        on_backward: called with (loss, scale, node) before the backward: numbers or detached tensors, the loss unscaled;
            scale is None without a scaler; the node of the graph that made the loss.
        before_backward: called after it, with (losses, is plain, scale): the live tensors the backward starts from, as they will be used;
            plain is one that starts from scalars with a gradient of 1 and goes to all leaves. None where nobody looks at the graph.
        after_backward: called when it has run, with the gradients of parameters where they are returned rather than stored.
        on_failed: called when it has raised.
        on_gap: called with (subject, reason) for a backward whose loss cannot be told.
        mute: called with +1 and -1 around gradients that are no training's: penalties, curvature.
    """

    def __init__(
        self,
        on_backward: Callable[[torch.Tensor | float | None, torch.Tensor | None, Any], None],
        after_backward: Callable[[dict[int, torch.Tensor] | None], None],
        before_backward: Callable[[list[torch.Tensor], bool, torch.Tensor | None], None] | None,
        on_failed: Callable[[], None],
        on_gap: Callable[[str, str], None],
        mute: Callable[[int], None],
    ) -> None:
        self._on_backward = on_backward
        self._after_backward = after_backward
        self._before_backward = before_backward
        self._on_failed = on_failed
        self._on_gap = on_gap
        self._mute = mute
        # id(scaled loss) -> (scaled loss, loss), for the open step, and the factor last used in it.
        self._scaled: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}
        self._scale: torch.Tensor | None = None

    def attach(self, patches: Patches) -> None:
        """Watch backward passes."""
        patches.replace(torch.autograd, "backward", self._seeing_backward)
        patches.replace(torch.autograd, "grad", self._seeing_grad)
        patches.replace(torch.amp.GradScaler, "scale", self._seeing_scale)

    def end_step(self) -> None:
        """Forget what was scaled: the step is over."""
        self._scaled.clear()
        self._scale = None

    def _seeing_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if torch._C._current_graph_task_id() != -1:
                return original(tensors, *args, **kwargs)  # reentrant checkpointing, inside a backward that was seen
            with user_modes_disabled():
                self._on_backward(self._loss(tensors), self._scale, tensors)
            if self._before_backward is not None:
                losses = _sequence(tensors)
                self._before_backward(losses, _is_plain(losses) and _is_undirected(args, kwargs), self._scale)
            try:
                result = original(tensors, *args, **kwargs)
            except BaseException:
                self._on_failed()
                raise
            self._after_backward(None)
            return result

        return untraced(backward)

    def _seeing_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Training by ``torch.autograd.grad(loss, parameters)`` is a backward; any other gradient is somebody else's."""

        @functools.wraps(original)
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if torch._C._current_graph_task_id() != -1:
                return original(outputs, inputs, *args, **kwargs)
            leaves = _trained_leaves(outputs, inputs, args, kwargs)
            if leaves is None:
                self._mute(1)
                try:
                    return original(outputs, inputs, *args, **kwargs)
                finally:
                    self._mute(-1)
            with user_modes_disabled():
                self._on_backward(self._loss(outputs), self._scale, outputs)
            if self._before_backward is not None:
                losses = _sequence(outputs)
                self._before_backward(losses, _is_plain(losses) and _is_undirected(args, kwargs), self._scale)
            try:
                result = original(outputs, inputs, *args, **kwargs)
            except BaseException:
                self._on_failed()
                raise
            pairs = zip(leaves, result, strict=True)
            self._after_backward({id(leaf): gradient.detach() for leaf, gradient in pairs if gradient is not None})
            return result

        return untraced(grad)

    def _seeing_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            factor = getattr(scaler, "_scale", None)
            if scaler.is_enabled() and isinstance(factor, torch.Tensor):
                self._scale = factor.detach().clone()
                given, got = ([value] if isinstance(value, torch.Tensor) else value for value in (outputs, result))
                if isinstance(given, list | tuple) and isinstance(got, list | tuple):
                    for before, after in zip(given, got, strict=False):
                        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
                            self._scaled[id(after)] = (weakref.ref(after), before.detach().clone())
            return result

        return scale

    def _loss(self, tensors: Any) -> torch.Tensor | float | None:
        """Return the scalar that is descended, unscaled: the sum where there are several. A copy: some scripts change it in place."""
        if self._scale is None and type(tensors) is torch.Tensor and tensors.numel() == 1:
            return at_hand(tensors)
        sequence = _sequence(tensors)
        if not sequence or any(tensor.numel() != 1 for tensor in sequence):
            self._on_gap("the loss of some backward calls", "backward started from a tensor that is not one number")
            return None
        parts = [self._unscaled(tensor) for tensor in sequence]
        return parts[0] if len(parts) == 1 else torch.stack([part.reshape(()) for part in parts]).sum()

    def _unscaled(self, loss: torch.Tensor) -> torch.Tensor:
        known = self._scaled.get(id(loss))
        if known is not None and known[0]() is loss:
            return known[1]
        copy = loss.detach().clone()
        # Scaled and then changed: scaling is linear, so dividing is right whatever the script did in between.
        return copy if self._scale is None else copy / self._scale


def _sequence(tensors: Any) -> list[torch.Tensor]:
    return [tensors] if isinstance(tensors, torch.Tensor) else [tensor for tensor in tensors if isinstance(tensor, torch.Tensor)]


def _is_plain(losses: list[torch.Tensor]) -> bool:
    return bool(losses) and all(loss.numel() == 1 and loss.requires_grad for loss in losses)


def _is_undirected(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a backward starts with a gradient of 1 and goes to every leaf; the first of ``args`` would be the gradient."""
    own = ("grad_tensors", "grad_variables", "grad_outputs", "inputs")
    return all(value is None for value in (*args[:1], *(kwargs.get(name) for name in own)))


def _trained_leaves(outputs: Any, inputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor] | None:
    """Return the inputs if this is one gradient of a scalar with respect to leaves, after which the graph is gone."""
    keeps_graph = kwargs.get("create_graph") or kwargs.get("retain_graph") or any(args[1:3])
    sequence = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    leaves = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
    if keeps_graph or kwargs.get("is_grads_batched") or len(sequence) != 1 or not isinstance(sequence[0], torch.Tensor):
        return None
    is_training = sequence[0].numel() == 1 and all(
        isinstance(leaf, torch.nn.Parameter) and leaf.is_leaf and leaf.requires_grad for leaf in leaves
    )
    return leaves if is_training else None
