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

from bnprobe.observe.patches import Patches


class BackwardTaps:
    """Tells of every backward the script starts (not of those inside another).

    Args:
        on_backward: called with (loss, scale) before the backward: detached tensors, the loss unscaled; scale is None without a scaler.
        after_backward: called when it has run.
    """

    def __init__(
        self,
        on_backward: Callable[[torch.Tensor | None, torch.Tensor | None], None],
        after_backward: Callable[[], None],
    ) -> None:
        self._on_backward = on_backward
        self._after_backward = after_backward
        # id(scaled loss) -> (scaled loss, loss, scale)
        self._scaled: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor, torch.Tensor | None]] = {}

    def attach(self, patches: Patches) -> None:
        """Watch backward passes."""
        patches.replace(torch.autograd, "backward", self._seeing_backward)
        patches.replace(torch.amp.GradScaler, "scale", self._seeing_scale)

    def _seeing_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if torch._C._current_graph_task_id() != -1:
                return original(tensors, *args, **kwargs)  # reentrant checkpointing, inside a backward that was seen
            self._on_backward(*self._loss(tensors))
            result = original(tensors, *args, **kwargs)
            self._after_backward()
            return result

        # Lazily: a script that compiles must not trace into this, one that does not must not import the compiler for it.
        disable: Callable[[Any], Any] = getattr(torch, "_disable_dynamo", lambda function: function)
        return disable(backward)  # type: ignore[no-any-return]

    def _seeing_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            if isinstance(outputs, torch.Tensor) and result is not outputs:
                factor = getattr(scaler, "_scale", None)
                factor = factor.detach().clone() if isinstance(factor, torch.Tensor) else None
                self._scaled = {id(result): (weakref.ref(result), outputs.detach(), factor)}
            return result

        return scale

    def _loss(self, tensors: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if not isinstance(tensors, torch.Tensor):
            sequence = [tensor for tensor in tensors if isinstance(tensor, torch.Tensor)]
            if len(sequence) != 1:
                return None, None
            tensors = sequence[0]
        known = self._scaled.get(id(tensors))
        if known is not None and known[0]() is tensors:
            return (known[1] if known[1].numel() == 1 else None), known[2]
        return (tensors.detach() if tensors.numel() == 1 else None), None
