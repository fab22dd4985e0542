"""Attention that a script writes out, softmax(q k^T / sqrt(d)) v, with its queries and keys normalised where they are multiplied.

While a module's forward runs, tensors carry what they are made of: what a layer computed, with the numbers that it was multiplied by since,
the products of two such tensors, and what a softmax made of these. A product of two outputs of layers is taken for logits when it is made,
and has to come to a softmax by the end of the forward: by whatever way, scaled, masked or biased. Where one does not, or no softmax
is taken of any, the code is another one than this can follow, and says so.

What is normalised loses its length, and with it a factor that queries were given before: that is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

_EPS = 1e-6
_LAYERS = ("linear", "bilinear", "addmm", "conv1d", "conv2d", "conv3d", "embedding")
_PRODUCTS = ("matmul", "__matmul__", "bmm", "baddbmm", "einsum")
_TIMES = ("mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__")
_BY = ("div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__")


@dataclass(frozen=True)
class _Made:
    """What a tensor is made of.

    Attributes:
        by_layer: a layer computed it, or it is the product of such with something.
        of_weights: a parameter alone.
        of_softmax: a softmax's result.
        logits: the numbers of the products that it is made of.
        factor: what it was multiplied by since a layer computed it.
    """

    by_layer: bool = False
    of_weights: bool = False
    of_softmax: bool = False
    logits: frozenset[int] = frozenset()
    factor: float = 1.0


class NormalisedLogits(TorchFunctionMode):
    """While it is on, queries and keys are normalised, of torch's attention function and of products that come to a softmax.

    Args:
        gain: factor on the logits.
    """

    def __init__(self, gain: float) -> None:
        super().__init__()
        self._gain = gain
        self._made: Any = WeakIdKeyDictionary()
        self._open: set[int] = set()
        self._products = 0
        self._has_met_one = False

    @property
    def fault(self) -> str:
        """What was seen of an attention that cannot be followed; "" where all is normalised."""
        if self._open:
            return "multiplies what its layers compute and takes no softmax of that, which cannot be told from queries and keys"
        return (
            ""
            if self._has_met_one
            else "calls no scaled_dot_product_attention and takes no softmax of a product of what its layers compute"
        )

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a function, attention with other arguments, and note what its results are made of."""
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return self._of_torch(func, args, kwargs)
        name = getattr(func, "__name__", "")
        if name in _PRODUCTS and (places := _contracted(name, args)):
            return self._product(func, args, kwargs, places)
        made = self._all_of((*args, *kwargs.values()))
        result = func(*args, **kwargs)
        if name in _LAYERS:
            self._note(result, _Made(by_layer=True))
        elif name == "softmax":
            self._open -= made.logits
            self._has_met_one |= bool(made.logits)
            self._note(result, _Made(of_softmax=True))
        elif made != _Made():
            self._note(result, replace(made, factor=made.factor * self._factor(name, args)))
        return result

    def _of_torch(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._has_met_one = True
        given = {**dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)), **kwargs}
        given["query"], given["key"] = normalised(given["query"]) * self._gain, normalised(given["key"])
        return func(**given)

    def _product(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], places: list[tuple[int, int]]) -> Any:
        made = [self._all_of((args[place],)) for place, _ in places]
        are_logits = all(one.by_layer and not one.of_softmax and not one.logits for one in made)
        if not are_logits:
            result = func(*args, **kwargs)
            self._note(result, _Made(by_layer=True))
            return result
        changed = list(args)
        for (place, axis), one in zip(places, made, strict=True):
            as_computed = args[place] if one.factor in (0.0, 1.0) else args[place] / one.factor
            changed[place] = normalised(as_computed.movedim(axis, -1)).movedim(-1, axis) * one.factor
        changed[places[0][0]] = changed[places[0][0]] * self._gain
        self._products += 1
        self._open.add(self._products)
        result = func(*changed, **kwargs)
        self._note(result, _Made(logits=frozenset([self._products])))
        return result

    def _all_of(self, values: Iterable[Any]) -> _Made:
        """What values are made of together; parameters beside what a layer computed count for nothing."""
        found = [self._made_of(one) for one in _tensors(values)]
        computed = [one for one in found if one.by_layer]
        return _Made(
            bool(computed),
            bool(found) and all(one.of_weights for one in found),
            any(one.of_softmax for one in found),
            frozenset().union(*(one.logits for one in found)),
            computed[0].factor if computed else 1.0,
        )

    def _made_of(self, tensor: torch.Tensor) -> _Made:
        known: _Made | None = self._made.get(tensor)
        return known or _Made(of_weights=isinstance(tensor, nn.Parameter))

    def _note(self, results: Any, made: _Made) -> None:
        for one in _tensors([results]):
            self._made[one] = made

    def _factor(self, name: str, args: tuple[Any, ...]) -> float:
        """The number that a function multiplies by; 1 where it does something else."""
        if name not in _TIMES + _BY or len(args) < 2:
            return 1.0
        number = next((one for one in args[:2] if self._is_number(one)), 1.0)
        return 1.0 / float(number) if name in _BY and number is args[1] else float(number)

    def _is_number(self, value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return value.numel() == 1 and not value.requires_grad and value not in self._made
        return isinstance(value, int | float)


def normalised(x: torch.Tensor) -> torch.Tensor:
    """Return x / rms(x) over the last axis, in its own type; the square of halves is taken in single precision."""
    wide = x if x.dtype == torch.float64 else x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + _EPS)).to(x.dtype)


def _contracted(name: str, args: tuple[Any, ...]) -> list[tuple[int, int]]:
    """Return, for each of the two operands of a product, its place among the arguments and the axis that is summed over; [] if unknown."""
    if name == "einsum":
        return _of_equation(args)
    places = (1, 2) if name == "baddbmm" else (0, 1)
    one, other = (args[place] if len(args) > place else None for place in places)
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)) or min(one.dim(), other.dim()) < 2:
        return []
    return [(places[0], -1), (places[1], -2)]


def _of_equation(args: tuple[Any, ...]) -> list[tuple[int, int]]:
    if len(args) != 3 or not isinstance(args[0], str):
        return []
    operands, _, out = args[0].replace(" ", "").partition("->")
    names = operands.split(",")
    if len(names) != 2 or not out:
        return []
    summed = [one for one in names[0] if one.isalpha() and one in names[1] and one not in out]
    return [(place, names[place - 1].index(summed[0]) - len(names[place - 1])) for place in (1, 2)] if len(summed) == 1 else []


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for one in values:
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)
