"""Units of another kind: none dropped, none that pass nothing, none that are straight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.intervention import Handler, Intervention, argument, is_in_place, with_argument

#: Of a leaky unit: what it passes of a negative input.
LEAK = 0.1
#: What a script may make a mask of by itself.
_DRAWS = ("bernoulli", "bernoulli_", "rand", "rand_like", "randn", "randn_like", "uniform_", "normal_", "multinomial", "binomial")


class NoDropout(Intervention):
    """The intervention ``no-dropout``."""

    what = "calls of dropout"
    nothing = "nothing is dropped by torch's dropout"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._depth = 0
        self._has_looked = self._draws_by_hand = False

    def is_ruled_out(self) -> bool:
        """Whether no module draws anything of which it could make a mask."""
        return self._has_looked and not self._draws_by_hand

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Within a module."""
        self._depth += 1
        self._has_looked |= torch.is_grad_enabled()

    def after_forward(self, module: nn.Module) -> None:
        """Out of it again."""
        self._depth -= 1

    def calls(self) -> Mapping[str, Handler]:
        """Stand before all kinds of dropout."""
        kinds = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
        attention = {"scaled_dot_product_attention": self._attention, "multi_head_attention_forward": self._whole_attention}
        recurrent = dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), self._recurrent)
        return {**dict.fromkeys(kinds, self._without), **attention, **recurrent, **dict.fromkeys(_DRAWS, self._drawn)}

    def _drawn(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._draws_by_hand |= self._depth > 0
        return func(*args, **kwargs)

    def _attention(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._at(4, "dropout_p", func, args, kwargs)

    def _whole_attention(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not argument(args, kwargs, 13, "training", True):
            return func(*args, **kwargs)
        return self._at(10, "dropout_p", func, args, kwargs)

    def _recurrent(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Of a recurrent layer, whose arguments are (input, state, weights, bias, layers, dropout, training, ...) or, packed, one later."""
        place = 6 if isinstance(args[1], torch.Tensor) and isinstance(args[3], list | tuple) else 5
        return self._at(place, "dropout", func, args, kwargs) if args[place + 1] else func(*args, **kwargs)

    def _at(self, place: int, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if argument(args, kwargs, place, name, 0.0) > 0:
            self.touched[func.__name__] += 1
            args, kwargs = with_argument(args, kwargs, place, name, 0.0)
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
