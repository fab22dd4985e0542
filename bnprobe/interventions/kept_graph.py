"""A graph that is kept where a script leaves it: by ``detach``, ``.data``, a number or an array that is made a tensor again.

What a script takes out of a tensor with a graph remembers it: numbers and arrays reckon on with their tensors beside them, through the
operations of Python and numpy that torch has under the same name. Made a tensor again, it is the one with the graph. What was cut counts
where a gradient flows through it: a loss that is only printed changes nothing.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import torch
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Handler, Intervention
from bnprobe.observe.attaching.patches import Patches

_GRAPHS: dict[int, torch.Tensor] = {}


class KeepGraph(Intervention):
    """The intervention ``keep-graph``."""

    what = "gradients that flow through what the script had cut off"
    nothing = "no value that was detached, or made a number, comes back into the loss by operations that can be followed"

    def calls(self) -> Mapping[str, Handler]:
        """Stand before what leaves a graph, and before what makes tensors of numbers."""
        leaving = {"detach": self._same, "__get__": self._data, "item": self._number, "tolist": self._list, "numpy": self._array}
        forgetting = dict.fromkeys(("__float__", "__array__"), self._forgotten)  # what these return cannot remember anything
        return {**leaving, **forgetting, "tensor": self._tensor, "as_tensor": self._tensor}

    def attach(self, patches: Patches) -> None:
        """Stand before ``from_numpy``, which no mode of torch sees."""
        patches.replace(torch, "from_numpy", self._around_from_numpy)

    def after_step(self, optimizer: Optimizer) -> None:
        """The graphs of a step end with it: a running total of losses keeps none."""
        _GRAPHS.clear()

    def _is_cut(self, values: Any) -> bool:
        """Whether a tensor has a graph to be kept; a parameter, whose data scripts write to, has none behind it."""
        return torch.is_grad_enabled() and isinstance(values, torch.Tensor) and values.requires_grad and not values.is_leaf

    def _told(self, how: str, values: torch.Tensor) -> torch.Tensor:
        """The same values, which say when a gradient flows through them; made whole numbers they have none."""
        if not values.requires_grad:
            return values

        def flows(gradient: torch.Tensor) -> None:
            self.touched[how] += 1

        same = values.view_as(values)
        same.register_hook(flows)  # type: ignore[no-untyped-call]
        return same

    def _same(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._told("detach", args[0]) if self._is_cut(args[0]) else func(*args, **kwargs)

    def _data(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        is_data = getattr(func, "__self__", None) is torch.Tensor.data
        return self._told("data", args[0]) if is_data and self._is_cut(args[0]) else func(*args, **kwargs)

    def _number(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = func(*args, **kwargs)
        return _Number.of(args[0].reshape(())) if self._is_cut(args[0]) and isinstance(found, float) else found

    def _list(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _numbers(args[0]) if self._is_cut(args[0]) and args[0].is_floating_point() else func(*args, **kwargs)

    def _array(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._is_cut(args[0]):
            return func(*args, **kwargs)
        return _Array.of(args[0], func(args[0].detach(), *args[1:], **kwargs))

    def _forgotten(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return func(args[0].detach(), *args[1:], **kwargs) if self._is_cut(args[0]) else func(*args, **kwargs)

    def _tensor(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        again = _with_graph(args[0]) if args and torch.is_grad_enabled() else None
        if again is None:
            return func(*args, **kwargs)
        return self._told(func.__name__, again.to(dtype=kwargs.get("dtype"), device=kwargs.get("device")))

    def _around_from_numpy(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def from_numpy(array: Any) -> Any:
            again = _with_graph(array) if torch.is_grad_enabled() else None
            return original(array) if again is None else self._told("from_numpy", again)

        return from_numpy


def _with_graph(value: Any) -> torch.Tensor | None:
    """The tensor behind a number, an array, or a list of such; None where there is none."""
    if isinstance(value, _Number | _Array):
        return _GRAPHS.get(id(value))
    if isinstance(value, torch.Tensor):
        return value if value.requires_grad and not value.is_leaf else None
    if not isinstance(value, list | tuple) or not value:
        return None
    found = [_with_graph(one) for one in value]
    like = next((one for one in found if one is not None), None)
    if like is None:
        return None
    return torch.stack([torch.as_tensor(one).to(like) if graph is None else graph for one, graph in zip(value, found, strict=True)])


def _numbers(values: torch.Tensor) -> Any:
    return _Number.of(values) if values.dim() == 0 else [_numbers(one) for one in values]


class _Number(float):
    """A number that remembers the tensor it was, and reckons on with it."""

    @staticmethod
    def of(graph: torch.Tensor) -> _Number:
        made = _Number(graph.detach().double().cpu().item())
        _remember(made, graph)
        return made

    def __del__(self) -> None:
        _GRAPHS.pop(id(self), None)

    def _reckoned(self, operation: Callable[..., Any], other: Any, is_swapped: bool) -> Any:
        if isinstance(other, np.ndarray | np.generic) and not isinstance(other, float):
            return NotImplemented  # numpy asks ``__array_ufunc__``
        graph = _GRAPHS.get(id(self))
        beside = other if graph is None or not isinstance(other, _Number) else _GRAPHS.get(id(other), float(other))
        pair = (graph if graph is not None else float(self), beside)
        found = operation(*reversed(pair)) if is_swapped else operation(*pair)
        is_number = isinstance(other, float | int) and isinstance(found, torch.Tensor) and found.dim() == 0
        return _Number.of(found) if is_number else found

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _reckoned_by_numpy(ufunc, method, inputs, kwargs)

    def __neg__(self) -> Any:
        return self._reckoned(operator.mul, -1.0, False)

    def __reduce__(self) -> Any:
        return float, (float(self),)


def _binary(name: str, operation: Callable[..., Any], is_swapped: bool) -> None:
    def method(self: _Number, other: SupportsFloat | SupportsIndex | torch.Tensor) -> Any:
        return self._reckoned(operation, other, is_swapped)

    setattr(_Number, name, method)


for _operation in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
    _name = _operation.__name__.strip("_")
    _binary(f"__{_name}__", _operation, False)
    _binary(f"__r{_name}__", _operation, True)


class _Array(np.ndarray):
    """An array that remembers the tensor it was; what torch cannot follow forgets it."""

    @staticmethod
    def of(graph: torch.Tensor, values: Any) -> Any:
        made = np.asarray(values).view(_Array)
        _remember(made, graph)
        return made

    def __del__(self) -> None:
        _GRAPHS.pop(id(self), None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce" and ufunc is np.add and kwargs.get("out") is None and kwargs.get("axis") is None:
            return self._reduced(torch.sum, ufunc.reduce(*map(_plain, inputs), **kwargs))
        return _reckoned_by_numpy(ufunc, method, inputs, kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        """Over all elements with the graph, over some without."""
        return self._reduced(torch.mean, super().mean(*args, **kwargs))

    def _reduced(self, reduce: Callable[..., torch.Tensor], found: Any) -> Any:
        graph = _GRAPHS.get(id(self))
        return _Number.of(reduce(graph)) if graph is not None and np.ndim(found) == 0 else np.asarray(found)[()]


def _reckoned_by_numpy(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What numpy makes of numbers and arrays, some of which remember a tensor, and so does the result where torch can follow."""
    if kwargs.get("out") is not None:
        kwargs["out"] = tuple(map(_plain, kwargs["out"]))
    values = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
    if method != "__call__" or kwargs or ufunc not in _FOLLOWED or not all(map(_is_numeric, inputs)):
        return values
    found = _FOLLOWED[ufunc](*map(_as_operand, inputs))
    if not found.requires_grad:
        return values
    return _Array.of(found, values) if np.ndim(values) else _Number.of(found)


#: What torch does as numpy does it.
_FOLLOWED: dict[Any, Callable[..., torch.Tensor]] = {
    np.add: torch.add,
    np.subtract: torch.subtract,
    np.multiply: torch.multiply,
    np.divide: torch.divide,
    np.power: torch.pow,
    np.negative: torch.negative,
    np.absolute: torch.absolute,
    np.square: torch.square,
    np.sqrt: torch.sqrt,
    np.exp: torch.exp,
    np.log: torch.log,
    np.tanh: torch.tanh,
    np.maximum: torch.maximum,
    np.minimum: torch.minimum,
}


def _is_numeric(value: Any) -> bool:
    return np.asarray(_plain(value)).dtype.kind in "fiub"


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, _Array) else float(value) if isinstance(value, _Number) else value


def _as_operand(value: Any) -> Any:
    graph = _with_graph(value)
    return graph if graph is not None else torch.as_tensor(_plain(value))


def _remember(value: Any, graph: torch.Tensor) -> None:
    _GRAPHS[id(value)] = graph
