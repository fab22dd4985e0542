"""Steps of optimizers on the tape of a stretch: the settings of each, and a copy of each optimizer as it was at the beginning."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import torch

from bnprobe.identity import OwnReference
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.torch_private import in_backward
from bnprobe.what_if.backwards import at_hand
from bnprobe.what_if.constructions import Constructions
from bnprobe.what_if.optimizer_copy import copy_optimizer, settings_of
from bnprobe.what_if.program import Move
from bnprobe.what_if.stretch_tape import StretchTape

#: Attributes through which a gradient scaler speaks to an optimizer that does its work itself.
HANDED = ("grad_scale", "found_inf")


class Moves:
    """Notes the updates of one stretch.

    Args:
        constructions: told of each optimizer that is met.
        refuse: gives the stretch up.

    Attributes:
        copies: of the optimizers, by number.
        count: updates noted so far.
        scaler: the gradient scaler that is making a step.
    """

    def __init__(self, constructions: Constructions, refuse: Callable[[str], None]) -> None:
        self.copies: dict[int, Optimizer] = {}
        self.count = 0
        self.scaler: Any = None
        self._known: list[weakref.ref[Optimizer]] = []
        self._constructions, self._refuse = constructions, refuse

    def begin_anew(self) -> None:
        """Another stretch begins."""
        self._known, self.copies = [], {}

    def forget(self) -> None:
        """There will be no program."""
        self.copies.clear()

    def knows(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer has been met."""
        return any(reference() is optimizer for reference in self._known)

    def refuses(self, optimizer: Optimizer) -> str:
        """Return why a step cannot be made again; empty where it can."""
        if in_backward():
            return "the optimizer steps inside backward"
        if _needs_closure(optimizer):
            return f"{type(optimizer).__name__} asks for the loss inside its step, as often as it likes"
        return ""

    def copy(self, optimizer: Optimizer, tape: StretchTape) -> int | None:
        """Return the number of an optimizer, copied as it is if it has not been."""
        for number, reference in enumerate(self._known):
            if reference() is optimizer:
                return number
        leaves = {}
        for parameter in trained_parameters(optimizer.param_groups):
            if not parameter.is_leaf:
                self._refuse("an optimizer moves tensors that are no leaves")
                return None
            leaves[id(parameter)] = tape.starts[tape.leaf(parameter)]
        number = len(self._known)
        try:
            self.copies[number] = copy_optimizer(optimizer, leaves)
        except Exception as error:
            self._refuse(f"its {type(optimizer).__name__} cannot be copied: {type(error).__name__}: {str(error)[:200]}")
            return None
        self._known.append(OwnReference(optimizer))
        self._constructions.resolve(optimizer, number, tape)
        return number

    def note(self, optimizer: Optimizer, tape: StretchTape, step: int) -> None:
        """An optimizer is about to make a step, or a gradient scaler has let it out."""
        self.count += 1
        number = self.copy(optimizer, tape)
        if number is None:
            return
        tape.note_gradients()
        copied = self.copies[number]
        if [len(group["params"]) for group in optimizer.param_groups] != [len(group["params"]) for group in copied.param_groups]:
            return self._refuse("an optimizer was given parameters during the stretch")
        held = [tape.leaf(parameter) for parameter in trained_parameters(optimizer.param_groups)]
        gradients = tape.gradients_of(held)
        move = Move(number, settings_of(optimizer), held, gradients, step)
        for name in HANDED:
            if isinstance(value := vars(optimizer).get(name), torch.Tensor):
                move.handed[name] = at_hand(value, tape)
        if self.scaler is not None:
            found = self.scaler._found_inf_per_device(optimizer).values()
            move.conditions = [slot for value in found if (slot := tape.find(value)) is not None]
        tape.note(move)
        tape.has_moved = True


def _needs_closure(optimizer: Optimizer) -> bool:
    """Whether an optimizer's step cannot be made without an argument."""
    given = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    return any(one.default is one.empty for one in given if one.kind is one.POSITIONAL_OR_KEYWORD)
