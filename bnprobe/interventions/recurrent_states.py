"""States of a recurrent layer laid out sample by sample before they are viewed as (samples, rest)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from bnprobe.interventions.intervention import Handler, Intervention

_MADE_BY = ("StackBackward", "CudnnRnnBackward")


class StatesBySample(Intervention):
    """The intervention ``states-by-sample``."""

    what = "states (layers, samples, width) viewed as (samples, rest)"
    nothing = "no states of several layers or directions are viewed as (samples, rest)"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before what changes a shape."""
        return {"view": self._viewed, "reshape": self._viewed}

    def _viewed(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result, states = func(*args, **kwargs), args[0] if args else None
        if not isinstance(states, torch.Tensor) or states.dim() != 3 or states.grad_fn is None:
            return result
        layers, samples, width = states.shape
        is_scrambled = result.shape == (samples, layers * width) and 1 < layers != samples > 1
        if not is_scrambled or not states.grad_fn.name().startswith(_MADE_BY):
            return result
        self.touched[func.__name__] += 1
        return states.transpose(0, 1).reshape(result.shape)
