"""Gradient clipping left out, or at the limit that was meant."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held
from bnprobe.observe.attaching.patches import Patches


class _AroundClipping(Intervention):
    """Stands before torch's two functions that clip, wherever the script finds them."""

    def attach(self, patches: Patches) -> None:
        """Replace both names of each."""
        for name in ("clip_grad_norm_", "clip_grad_value_"):
            for owner in (nn.utils, nn.utils.clip_grad):
                patches.replace(owner, name, self.around)

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is called in place of a function that clips."""
        raise NotImplementedError


class NoClipping(_AroundClipping):
    """The intervention ``no-clipping``: the norm is still returned."""

    what = "clippings"
    nothing = "the script does not clip with torch's functions"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._left: dict[int, tuple[int, int]] = {}
        self._has_looked = self._were_touched = False

    def is_ruled_out(self) -> bool:
        """Whether each step was made by gradients as the backward had left them."""
        return self._has_looked and not self._were_touched

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Remember whose gradients are looked at."""
        self._optimizers.add(optimizer)

    def after_backward(self) -> None:
        """Take note of which tensors the gradients are, and of how often each was written to."""
        self._left = {id(one): _state_of(one.grad) for each in self._optimizers for one in held(each) if one.grad is not None}

    def before_step(self, optimizer: Optimizer) -> None:
        """Look whether somebody wrote to them since, or has a hook in their way."""
        self._has_looked = True
        for one in held(optimizer):
            is_as_left = one.grad is None or self._left.get(id(one)) == _state_of(one.grad)
            self._were_touched |= not is_as_left or bool(one._backward_hooks)

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Clip at infinity."""

        @functools.wraps(original)
        def clip(parameters: Any, limit: Any = None, *args: Any, **kwargs: Any) -> Any:
            self.touched[original.__name__] += 1
            kwargs = {name: value for name, value in kwargs.items() if name not in ("max_norm", "clip_value", "error_if_nonfinite")}
            return original(parameters, float("inf"), *args, **kwargs)

        return clip


def _state_of(gradient: torch.Tensor) -> tuple[int, int]:
    return id(gradient), gradient._version


class ClipUnscaled(_AroundClipping):
    """The intervention ``clip-unscaled``: the limit is multiplied by the scale of gradients that were not unscaled."""

    what = "clippings of scaled gradients"
    nothing = "no scaled gradient was clipped"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._scalers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._is_unscaled = False

    def is_ruled_out(self) -> bool:
        """Whether no loss is scaled."""
        return not self._scalers

    def attach(self, patches: Patches) -> None:
        """Listen to gradient scalers, too."""
        super().attach(patches)
        patches.replace(torch.amp.GradScaler, "scale", self._noting_scale)
        patches.replace(torch.amp.GradScaler, "unscale_", self._noting_unscale)

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Clip at another limit."""

        @functools.wraps(original)
        def clip(parameters: Any, *args: Any, **kwargs: Any) -> Any:
            scale = 1.0 if self._is_unscaled else next((float(one.get_scale()) for one in self._scalers), 1.0)
            if scale != 1.0:
                self.touched[original.__name__] += 1
                args = (args[0] * scale, *args[1:]) if args else args
                kwargs = {name: value * scale if name in ("max_norm", "clip_value") else value for name, value in kwargs.items()}
            return original(parameters, *args, **kwargs)

        return clip

    def _noting_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(scaler: Any, *args: Any, **kwargs: Any) -> Any:
            self._scalers.add(scaler)
            self._is_unscaled = False
            return original(scaler, *args, **kwargs)

        return scale

    def _noting_unscale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def unscale_(scaler: Any, *args: Any, **kwargs: Any) -> Any:
            self._is_unscaled = True
            return original(scaler, *args, **kwargs)

        return unscale_
