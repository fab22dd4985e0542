"""What an intervention is: something that changes a training while it runs, counts what it changed, and says so where it found nothing.

It may act at any of these moments, and leaves out those that it has no use for:

    attach            torch has just been imported; functions of torch may be replaced
    optimizer_built   an optimizer was constructed
    before_forward    a module is called
    calls             a function of torch is called, by name
    before_backward   the script goes backward
    after_backward    it has gone
    before_step       an optimizer is about to move its weights
    after_step        it has moved them
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.catalogue import ENTRIES, Entry
from bnprobe.observe.attaching.patches import Patches

#: Stands in for a call: is given the function, its positional and its named arguments, and returns the result.
Handler: TypeAlias = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class Intervention:
    """One intervention in one training.

    Args:
        steps: optimizer steps that the trial will take.

    Attributes:
        what: what is counted, in words after a number.
        nothing: a sentence for where there was nothing to change.
        by_step: steps after which it has acted or never will; None where that may come at any time.
        touched: how often it has acted, by place.
    """

    what: ClassVar[str]
    nothing: ClassVar[str]
    by_step: ClassVar[int | None] = 3

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.touched: Counter[str] = Counter()

    @property
    def entry(self) -> Entry:
        """The catalogue's entry."""
        place = f"{type(self).__module__.rpartition('.')[2]}:{type(self).__name__}"
        return next(one for one in ENTRIES if one.place == place)

    def refusal(self) -> str:
        """Say why nothing was changed; "" where something was."""
        return "" if self.touched else self.nothing

    def is_ruled_out(self) -> bool:
        """Whether what it would take away was looked for and is not there, by whatever means a script may do it."""
        return False

    def is_no_choice(self) -> bool:
        """Whether what it took away cannot have been meant by the script, although others of its kind may be."""
        return False

    def attach(self, patches: Patches) -> None:
        """Replace functions of torch."""

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Take note of a new optimizer."""

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return other positional arguments for the call of a module; None for the same."""

    def after_forward(self, module: nn.Module) -> None:
        """Put back what ``before_forward`` has changed."""

    def calls(self) -> Mapping[str, Handler]:
        """Return who stands in for functions of torch, by their names: "softmax" for the function, the method and that of nn.functional."""
        return {}

    def before_backward(self) -> None:
        """Act before the script's backward."""

    def after_backward(self) -> None:
        """Act after it."""

    def before_step(self, optimizer: Optimizer) -> None:
        """Act before an update."""

    def after_step(self, optimizer: Optimizer) -> None:
        """Act after an update."""


def argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str, default: Any = None) -> Any:
    """Return an argument that may be given by place or by name."""
    return args[place] if len(args) > place else kwargs.get(name, default)


def with_argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with another value for one of them."""
    if len(args) > place:
        return (*args[:place], value, *args[place + 1 :]), kwargs
    return args, {**kwargs, name: value}


def is_in_place(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of an activation writes over its input: the script may go on with that."""
    return func.__name__.endswith("_") or kwargs.get("inplace") is True or args[1:2] == (True,)


def held(optimizer: Optimizer) -> list[torch.Tensor]:
    """Return the parameters that an optimizer moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
