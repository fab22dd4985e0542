"""Operations of a tape made ready to be called again and again: where their arguments come from is looked up once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch

from bnprobe.observe.probes.memory import view
from bnprobe.observe.probes.replay import valued
from bnprobe.observe.probes.tape import Constant, Operation, Slot

_NESTED = (Constant, list, tuple)


class Call:
    """One operation.

    Args:
        operation: it.
    """

    __slots__ = ("_nested", "_outputs", "_slots", "asks_for_gradients", "operation")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        #: Whether autograd is on. A view of what has no gradient is made with it: without, nothing that has one may be written into it.
        self.asks_for_gradients = operation.with_grad or operation.function is view
        kinds = [type(given) for given in operation.arguments]
        self._slots = _places(tuple(place for place, kind in enumerate(kinds) if kind is Slot))
        self._nested = _places(tuple(place for place, kind in enumerate(kinds) if kind in _NESTED))
        self._outputs = _places(tuple(place for place, slot in enumerate(operation.outputs) if slot is not None))

    def arguments(self, values: Mapping[Slot, Any]) -> list[Any]:
        """Return its arguments with their values in place of slots.

        Raises:
            ReplayError: a constant has been overwritten since it was taped.
        """
        given = list(self.operation.arguments)
        for place in self._slots:
            given[place] = values[given[place]]
        for place in self._nested:
            given[place] = valued(given[place], values)
        operation = self.operation
        if operation.function is view and not operation.with_grad:
            given[0] = given[0].data
        return given

    def keywords(self, values: Mapping[Slot, Any]) -> dict[str, Any]:
        """Return its keyword arguments likewise.

        Raises:
            ReplayError: a constant has been overwritten since it was taped.
        """
        own = self.operation.keywords
        return {name: valued(value, values) for name, value in own.items()} if own else {}

    def keep(self, result: Any, values: dict[Slot, Any]) -> None:
        """Put what it has returned into its slots."""
        outputs = self.operation.outputs
        if not isinstance(result, list | tuple):
            if self._outputs and self._outputs[0] == 0:
                values[outputs[0]] = result  # type: ignore[index]
            return
        for place in self._outputs:
            if place < len(result):
                values[outputs[place]] = result[place]  # type: ignore[index]


@functools.cache
def _places(places: tuple[int, ...]) -> tuple[int, ...]:
    """Return equal places: a tape has some hundred thousand operations, and few kinds of them."""
    return places


def set_gradient_mode(is_on: bool) -> None:
    """Turn autograd on or off, where it is not so."""
    if torch.is_grad_enabled() is not is_on:
        torch.set_grad_enabled(is_on)
