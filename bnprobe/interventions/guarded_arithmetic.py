"""Functions kept away from where they have no finite value or slope.

An argument is moved to the edge of where a function is safe, and only where it lies beyond: elsewhere nothing changes, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from bnprobe.interventions.intervention import Handler, Intervention, argument, with_argument

#: Smallest argument of a logarithm, a square root and a fractional power, and smallest magnitude of a denominator.
_SMALL = {"log": 1e-8, "log2": 1e-8, "log10": 1e-8, "sqrt": 1e-8, "rsqrt": 1e-8, "log1p": 1e-6 - 1.0}
_SMALLEST_BASE, _SMALLEST_DENOMINATOR, _SMALLEST_VARIANCE = 1e-4, 1e-5, 1e-8
#: Largest magnitude of a sine, cosine or hyperbolic tangent whose inverse is taken.
_LARGEST_SINE = 1.0 - 1e-6
#: Largest exponent: float32 overflows beyond 88.
_LARGEST_EXPONENT = 80.0
#: In place of -inf: a softmax over nothing else is NaN.
_MASKED = -1e4


class GuardArithmetic(Intervention):
    """The intervention ``guard-arithmetic``."""

    what = "calls with arguments at which a function has no finite value or slope"
    nothing = (
        "no logarithm, root, quotient, power, exponential or inverse sine came near where it has no finite value or slope, and no mean was "
        "taken of nothing"
    )
    by_step = None

    def calls(self) -> Mapping[str, Handler]:
        """Stand before the functions that can fail."""
        return {
            **dict.fromkeys(_SMALL, self._from_below),
            **dict.fromkeys(("acos", "asin", "arccos", "arcsin", "atanh", "arctanh"), self._within),
            **dict.fromkeys(("div", "true_divide", "divide", "__truediv__"), self._over),
            **dict.fromkeys(("__rtruediv__", "__rdiv__", "reciprocal"), self._under),
            **dict.fromkeys(("pow", "__pow__", "float_power"), self._power),
            "exp": self._exponential,
            **dict.fromkeys(("mean", "cross_entropy", "nll_loss"), self._of_nothing),
            "std": self._deviation,
            "atan2": self._angle,
            "masked_fill": self._masked,
            "masked_fill_": self._masked,
        }

    def _moved(self, func: Callable[..., Any], values: Any, is_beyond: torch.Tensor, edge: torch.Tensor | float) -> Any:
        if not bool(is_beyond.any()):
            return values
        self.touched[func.__name__.strip("_")] += 1
        return torch.where(is_beyond, torch.as_tensor(edge, dtype=values.dtype, device=values.device), values)

    def _from_below(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values = argument(args, kwargs, 0, "input")
        if _is_float(values):
            least = _SMALL[func.__name__]
            args, kwargs = with_argument(args, kwargs, 0, "input", self._moved(func, values, values < least, least))
        return func(*args, **kwargs)

    def _within(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values = argument(args, kwargs, 0, "input")
        if _is_float(values):
            edge = torch.copysign(torch.full_like(values, _LARGEST_SINE), values.detach())
            args, kwargs = with_argument(args, kwargs, 0, "input", self._moved(func, values, values.abs() > _LARGEST_SINE, edge))
        return func(*args, **kwargs)

    def _over(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        below = argument(args, kwargs, 1, "other")
        if _is_float(below):
            args, kwargs = with_argument(args, kwargs, 1, "other", self._denominator(func, below))
        return func(*args, **kwargs)

    def _under(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        below = argument(args, kwargs, 0, "input")
        if _is_float(below):
            args, kwargs = with_argument(args, kwargs, 0, "input", self._denominator(func, below))
        return func(*args, **kwargs)

    def _denominator(self, func: Callable[..., Any], below: torch.Tensor) -> Any:
        edge = torch.copysign(torch.full_like(below, _SMALLEST_DENOMINATOR), below.detach())
        return self._moved(func, below, below.abs() < _SMALLEST_DENOMINATOR, edge)

    def _power(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        base, exponent = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "exponent")
        is_plain = isinstance(exponent, int | float) and float(exponent).is_integer() and exponent >= 0
        if _is_float(base) and not is_plain:
            args, kwargs = with_argument(args, kwargs, 0, "input", self._moved(func, base, base < _SMALLEST_BASE, _SMALLEST_BASE))
        return func(*args, **kwargs)

    def _exponential(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values = argument(args, kwargs, 0, "input")
        if _is_float(values):
            args, kwargs = with_argument(args, kwargs, 0, "input", self._moved(func, values, values > _LARGEST_EXPONENT, _LARGEST_EXPONENT))
        return func(*args, **kwargs)

    def _of_nothing(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A mean of no values, or a cross-entropy of which every label is ignored, is zero, with a gradient of zero."""
        result, values = func(*args, **kwargs), argument(args, kwargs, 0, "input")
        if not _is_float(values) or not _is_float(result) or not bool(result.isnan().all()) or not bool(values.isfinite().all()):
            return result
        self.touched[func.__name__] += 1
        return torch.zeros_like(result) + 0 * values.sum()

    def _deviation(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values = argument(args, kwargs, 0, "input")
        if not _is_float(values):
            return func(*args, **kwargs)
        variance = torch.var(*args, **kwargs)
        if bool(variance.isnan().all()) and bool(values.isfinite().all()):  # of single values, and so is its slope
            self.touched[func.__name__] += 1
            return torch.full_like(variance, math.sqrt(_SMALLEST_VARIANCE)) + 0 * values.sum()
        if not bool((variance < _SMALLEST_VARIANCE).any()):
            return func(*args, **kwargs)
        return self._moved(func, variance, variance < _SMALLEST_VARIANCE, _SMALLEST_VARIANCE).sqrt()

    def _angle(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        one, other = argument(args, kwargs, 0, "input"), argument(args, kwargs, 1, "other")
        if _is_float(one) and _is_float(other):
            is_origin = (one.abs() < _SMALLEST_DENOMINATOR) & (other.abs() < _SMALLEST_DENOMINATOR)
            args, kwargs = with_argument(args, kwargs, 1, "other", self._moved(func, other, is_origin, _SMALLEST_DENOMINATOR))
        return func(*args, **kwargs)

    def _masked(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if argument(args, kwargs, 2, "value") == -math.inf:
            self.touched["masked_fill"] += 1
            args, kwargs = with_argument(args, kwargs, 2, "value", _MASKED)
        return func(*args, **kwargs)


def _is_float(values: Any) -> bool:
    return isinstance(values, torch.Tensor) and values.is_floating_point()
