"""Units of another kind: none dropped, none that pass nothing, none that are straight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from bnprobe.interventions.intervention import Handler, Intervention, argument, is_in_place, with_argument

#: Of a leaky unit: what it passes of a negative input.
LEAK = 0.1


class NoDropout(Intervention):
    """The intervention ``no-dropout``."""

    what = "calls of dropout"
    nothing = "nothing is dropped by torch's dropout"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before all kinds of dropout."""
        kinds = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
        return {**dict.fromkeys(kinds, self._without), "scaled_dot_product_attention": self._attention}

    def _attention(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if argument(args, kwargs, 4, "dropout_p", 0.0) > 0:
            self.touched[func.__name__] += 1
            args, kwargs = with_argument(args, kwargs, 4, "dropout_p", 0.0)
        return func(*args, **kwargs)

    def _without(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if argument(args, kwargs, 1, "p", 0.5) > 0 and argument(args, kwargs, 2, "training", True):
            self.touched[func.__name__] += 1
            args, kwargs = with_argument(args, kwargs, 1, "p", 0.0)
        return func(*args, **kwargs)


class LeakyUnits(Intervention):
    """The intervention ``leaky-units``."""

    what = "calls of relu"
    nothing = "torch's relu is not called"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before relu."""
        return {"relu": self._leaky, "relu_": self._leaky, "relu6": self._leaky}

    def _leaky(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        self.touched[func.__name__] += 1
        return F.leaky_relu(argument(args, kwargs, 0, "input"), LEAK, inplace=is_in_place(func, args, kwargs))


class SmoothUnits(Intervention):
    """The intervention ``smooth-units``."""

    what = "calls of relu"
    nothing = "neither relu nor leaky_relu is called"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before rectifiers."""
        return dict.fromkeys(("relu", "relu_", "relu6", "leaky_relu"), self._smooth)

    def _smooth(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        self.touched[func.__name__] += 1
        tanh = torch.tanh_ if is_in_place(func, args, kwargs) else torch.tanh
        return tanh(argument(args, kwargs, 0, "input"))


class RectifiedUnits(Intervention):
    """The intervention ``rectified-units``; recurrent layers of torch keep theirs."""

    what = "calls of sigmoid and tanh"
    nothing = "neither sigmoid nor tanh is called"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before units that saturate."""
        return dict.fromkeys(("sigmoid", "sigmoid_", "tanh", "tanh_"), self._rectified)

    def _rectified(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        values = argument(args, kwargs, 0, "input")
        if not values.requires_grad:
            return torch.as_tensor(func(*args, **kwargs))
        self.touched[func.__name__] += 1
        return F.leaky_relu(values, LEAK, inplace=is_in_place(func, args, kwargs))
