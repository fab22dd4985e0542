"""A short stretch gone through several times: its batches again and again, with weights and optimizers going on.

A training that diverged after a few steps leaves too few of them to judge a rate by. What a step does with weights is on the tape; so the
whole steps are put behind one another until there are enough. Weights, the state of the optimizers and averages of the weights go on from
one round to the next; what the script kept besides (running statistics, a gradient scaler's factor) begins each round as it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from bnprobe.observe.options import FEWEST_WHAT_IF_STEPS
from bnprobe.observe.probes.tape import Slot
from bnprobe.what_if.program import Backward, Item, Move, Program, SetGradient, names

#: Steps that a short stretch is lengthened to.
CYCLED_STEPS = 60


def long_enough(program: Program) -> Program | None:
    """Return what questions are asked of: the program itself, or its steps several times; None where no step was whole."""
    return program if program.steps >= FEWEST_WHAT_IF_STEPS else cycled(program, CYCLED_STEPS)


def cycled(program: Program, steps: int) -> Program | None:
    """Return a program of at least so many steps; None where no step has been made whole.

    Args:
        program: the recorded stretch. Its last step has no update: the stretch ends with that step's backward.
        steps: of the new one, at most; whole rounds are not needed.
    """
    last = max((move.place for move in program.moves), default=-1)
    once = program.items[: last + 1]
    whole = len({item.step for item in once if isinstance(item, Backward) and item.losses})
    if not whole:
        return None
    made: list[Item] = []
    count = 1 + max((slot for item in program.items for slot in names(item)), default=-1)
    for number in range(-(-steps // whole)):
        shift = _Shift(program, number * count, number * whole)
        if number:
            # Where the tape begins there is no gradient.
            made += [SetGradient(leaf, None) for leaf, start in program.starts.items() if start.requires_grad]
        made += [shift.item(item) for item in once] if number else once
    end = program.first_step + steps
    kept = [item for item in made if not isinstance(item, Backward | Move) or item.step < end]
    while not (isinstance(kept[-1], Backward) and kept[-1].losses):
        kept.pop()
    kept = [replace(item) for item in kept]  # the places of the recorded ones stay theirs
    for place, item in enumerate(kept):
        item.place = place
    return replace(program, items=kept, steps=steps)


class _Shift:
    """Puts items into a later round: with slots of their own, but for leaves."""

    def __init__(self, program: Program, slots: int, steps: int) -> None:
        self._leaves: Mapping[Slot, Any] = program.starts
        self._slots, self._steps = slots, steps

    def item(self, item: Item) -> Item:
        kept = ("function", "generator", "hole")
        changed = {one.name: self._value(getattr(item, one.name)) for one in fields(item) if one.name not in kept}
        if isinstance(item, Backward | Move):
            changed["step"] = item.step + self._steps
        return replace(item, **changed)

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind is Slot:
            return value if value in self._leaves else Slot(value + self._slots)
        if kind in (list, tuple):
            return kind([self._value(part) for part in value])
        if kind is dict:
            return {name: self._value(part) for name, part in value.items()}
        return value
