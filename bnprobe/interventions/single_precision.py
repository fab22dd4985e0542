"""float32 in place of half precision."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Handler, Intervention, held
from bnprobe.observe.attaching.patches import Patches

_HALF = (torch.float16, torch.bfloat16)


class SinglePrecision(Intervention):
    """The intervention ``float32``: conversions to half precision convert to float32, and autocast casts nothing."""

    what = "conversions to half precision"
    nothing = "nothing was converted to half precision, and autocast was not used"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._has_looked = self._is_half = False

    def is_ruled_out(self) -> bool:
        """Whether no weight is of half precision, and nothing that a module is called with."""
        return self._has_looked and not self._is_half

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Take note of what is made in half precision from the start."""
        self._is_half |= any(isinstance(one, torch.Tensor) and one.dtype in _HALF for one in args)

    def before_step(self, optimizer: Optimizer) -> None:
        """Take note of weights in half precision."""
        self._has_looked = True
        self._is_half |= any(one.dtype in _HALF for one in held(optimizer))

    def attach(self, patches: Patches) -> None:
        """Stand before autocast."""
        patches.replace(torch.autocast, "__enter__", self._disabled)

    def calls(self) -> Mapping[str, Handler]:
        """Stand before every conversion, whichever function makes it."""
        return {"half": self._to_single, "bfloat16": self._to_single, "": self._any}

    def _to_single(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.touched[func.__name__] += 1
        return args[0].float()

    def _any(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs.get("dtype") in _HALF or any(one in _HALF for one in args if isinstance(one, torch.dtype)):
            self.touched[getattr(func, "__name__", "a call")] += 1
            args = tuple(torch.float32 if isinstance(one, torch.dtype) and one in _HALF else one for one in args)
            kwargs = {**kwargs, "dtype": torch.float32} if kwargs.get("dtype") in _HALF else kwargs
        return func(*args, **kwargs)

    def _disabled(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __enter__(autocast: Any) -> Any:
            if autocast._enabled:
                self.touched["autocast"] += 1
                autocast._enabled = False
            return original(autocast)

        return __enter__
