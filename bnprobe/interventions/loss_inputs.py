"""What a loss is given: the network's output before it was squashed, and targets of its shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from bnprobe.interventions.intervention import Handler, Intervention, argument, is_in_place, with_argument

_SQUASHES = ("softmax", "sigmoid", "sigmoid_", "tanh", "tanh_", "relu", "relu_", "relu6", "clamp", "softplus", "exp", "hardtanh")
#: Losses that compare numbers, and what a squashed output can be: targets outside need what it was before.
_ERRORS = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss")
_ENDS = {"softmax": (0, 1), "sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, math.inf), "relu6": (0, 6), "softplus": (0, math.inf)}
#: What changes the shape of a tensor and none of its values.
_SHAPES = ("squeeze", "unsqueeze", "view", "reshape", "flatten", "transpose", "permute", "movedim", "contiguous", "__getitem__", "mT", "T")
_LOSSES = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div")
#: The ends of a graph that is a layer's output, reshaped or not.
_RESHAPED = ("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Permute", "TBackward", "Clone", "Select", "Slice")
_COMPUTED = ("Addmm", "Mm", "Linear", "Convolution", "Bmm", "Baddbmm")
#: Of an output that was squashed: what it was before, and by what.
_NOTE = "bnprobe_before_squashing"


class BypassSquashing(Intervention):
    """The intervention ``bypass-squashing``.

    Losses that ask for logits get logits, those that ask for logarithms of probabilities get them, of the same values; errors get what
    the output was before, where targets lie outside what it can be.
    """

    what = "squashed inputs of a loss"
    nothing = "no output is squashed on its way into a loss of torch, or it is what the loss asks for"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._are_plain: set[bool] = set()

    def is_ruled_out(self) -> bool:
        """Whether each loss of torch is given what a layer has computed and asks for logits, or compares numbers within reach."""
        return self._are_plain == {True}

    def calls(self) -> Mapping[str, Handler]:
        """Follow squashed outputs to a loss."""
        return (
            dict.fromkeys(_SQUASHES, self._squashed)
            | dict.fromkeys(_SHAPES, self._shaped)
            | dict.fromkeys((*_LOSSES, *_ERRORS), self._loss)
        )

    def _squashed(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = argument(args, kwargs, 0, "input")
        if not (torch.is_grad_enabled() and before.requires_grad):
            return func(*args, **kwargs)
        if is_in_place(func, args, kwargs):
            before = before.clone()
        result = func(*args, **kwargs)
        setattr(result, _NOTE, (before, func.__name__.strip("_")))
        return result

    def _shaped(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = func(*args, **kwargs)
        note = getattr(args[0], _NOTE, None) if args and isinstance(args[0], torch.Tensor) else None
        if note is not None:
            setattr(result, _NOTE, (func(note[0], *args[1:], **kwargs), note[1]))
        return result

    def _loss(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = argument(args, kwargs, 0, "input")
        before, how = getattr(given, _NOTE, (None, ""))
        if func.__name__ in _ERRORS:
            wanted = before if _is_out_of_reach(argument(args, kwargs, 1, "target"), how) else None
            is_plain = wanted is None and (how in _ENDS or _is_of_a_layer(given))
        else:
            wanted = self._wanted(func.__name__, given, before, how)
            is_plain = func.__name__ in ("cross_entropy", "binary_cross_entropy_with_logits") and _is_of_a_layer(given)
        if torch.is_grad_enabled():
            self._are_plain.add(is_plain)
        if wanted is not None:
            self.touched[f"{how or 'output'} before {func.__name__}"] += 1
            args, kwargs = with_argument(args, kwargs, 0, "input", wanted)
        return func(*args, **kwargs)

    @staticmethod
    def _wanted(loss: str, given: torch.Tensor, before: torch.Tensor | None, how: str) -> torch.Tensor | None:
        """What the loss is to be given instead; None where it has what it asks for."""
        classes = 1 if given.dim() > 1 else 0
        if loss in ("cross_entropy", "binary_cross_entropy_with_logits"):
            return before
        if loss == "binary_cross_entropy":
            return torch.sigmoid(before) if before is not None and how not in ("sigmoid", "clamp", "softmax", "exp") else None
        if before is not None:
            return F.log_softmax(before, classes)
        return F.log_softmax(given, classes) if bool((given > 0).any()) else None


def _is_of_a_layer(values: torch.Tensor) -> bool:
    """Whether values are what a linear layer or a convolution has computed, but for their shape."""
    node = values.grad_fn
    while node is not None and node.name().startswith(_RESHAPED):
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return node is not None and node.name().startswith(_COMPUTED)


def _is_out_of_reach(target: Any, how: str) -> bool:
    """Whether targets lie outside what a function gives."""
    if how not in _ENDS or not isinstance(target, torch.Tensor) or not target.numel():
        return False
    low, high = _ENDS[how]
    return bool(target.min() < low) or bool(target.max() > high)


class AlignShapes(Intervention):
    """The intervention ``align-shapes``."""

    what = "losses and differences whose operands were broadcast"
    nothing = "no output and target of equally many elements are broadcast against each other"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._are_alike: set[bool] = set()

    def is_ruled_out(self) -> bool:
        """Whether each loss is one of torch's, and has an output and a target of one shape."""
        return self._are_alike == {True}

    def calls(self) -> Mapping[str, Handler]:
        """Stand before what compares output and target."""
        losses = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
        differences = ("sub", "__sub__", "__rsub__", "rsub", "subtract", "sub_", "mul", "__mul__", "__rmul__")
        return dict.fromkeys((*losses, *differences), self._aligned)

    def _aligned(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        names = ("input", "target" if "loss" in func.__name__ or "entropy" in func.__name__ else "other")
        one, other = argument(args, kwargs, 0, names[0]), argument(args, kwargs, 1, names[1])
        if names[1] == "target" and torch.is_grad_enabled():
            self._are_alike.add(one.shape == other.shape)
        if _is_outer(one, other):
            self.touched[func.__name__] += 1
            args, kwargs = with_argument(args, kwargs, 1, names[1], other.reshape(one.shape))
        return func(*args, **kwargs)


def _is_outer(one: Any, other: Any) -> bool:
    """Whether a network's output and a target of as many elements would be spread against each other, each element with all others."""
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)) or one.requires_grad == other.requires_grad:
        return False
    if one.numel() != other.numel() or one.shape == other.shape or one.numel() < 2:
        return False
    plain = [[size for size in tensor.shape if size != 1] for tensor in (one, other)]
    try:
        spread = torch.broadcast_shapes(one.shape, other.shape)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return plain[0] == plain[1] and spread.numel() > one.numel()
