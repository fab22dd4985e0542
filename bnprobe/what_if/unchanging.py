"""What comes out the same however the weights move: masks that are drawn, and all else that takes only the shape of a signal.

A rerun draws what the recorded training drew, from the state that the generator had. Drawing is slow (a dropout mask takes longer than the
product with it), and a stretch is trained again ten times or more. So the first rerun keeps these results, as far as there is room, and
those after it take them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from bnprobe.observe.probes.operation_kinds import kind_of
from bnprobe.observe.probes.replay import ReplayError
from bnprobe.observe.probes.tape import Operation, Slot, alias_classes
from bnprobe.torch_private import version
from bnprobe.what_if.program import Item, Program

#: Operations that look at no value of their first argument.
_SHAPING = {
    *("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like"),
    *("new_empty", "new_empty_strided", "new_zeros", "new_ones", "new_full"),
}


class Kept(NamedTuple):
    """A result that is taken again: its slot, itself, and how often it had been written to."""

    slot: Slot
    tensor: torch.Tensor
    version: int


class Unchanging:
    """The part of a program that depends on no value of a weight, and its results.

    Args:
        program: the stretch.
        room: bytes that may be kept.
    """

    def __init__(self, program: Program, room: int) -> None:
        self._items = program.items
        self.room = room
        # One of the script's own may draw as well, from where the operation before it left the generator: each draw has to be made.
        self._draws_again = any(not type(one).__module__.startswith("torch.optim") for one in program.optimizers.values())
        operations = [item for item in program.items if isinstance(item, Operation)]
        self._aliases = alias_classes(operations)
        self._places = set() if any(map(_has_shape_of_values, operations)) else self._unchanging(program)
        #: By place of the item that first reads it, the slots that are kept from then on.
        self._asked: dict[int, list[Slot]] = defaultdict(list)
        made = {slot for place in self._places for slot in program.items[place].outputs if slot is not None}  # type: ignore[union-attr]
        for place, item in enumerate(program.items):
            if made and place not in self._places:
                asked = [slot for slot in dict.fromkeys(item.reads) if slot in made]
                made.difference_update(asked)
                if asked:
                    self._asked[place] = asked
        #: What is kept, by the place of the item that first reads it.
        self.kept: dict[int, list[Kept]] = {}
        #: Places that are passed over, once a rerun has kept what there is to keep.
        self.passed: frozenset[int] = frozenset()
        self.is_known = not self._asked

    def keep(self, place: int, values: dict[Slot, Any]) -> None:
        """An item is about to be executed, in a rerun that keeps: take what it is the first to read, if there is room."""
        asked = self._asked.get(place)
        if asked is None:
            return
        size = sum(values[slot].nbytes for slot in asked)
        if size <= self.room:
            self.room -= size
            self.kept[place] = [Kept(slot, values[slot], version(values[slot])) for slot in asked]

    def take(self, place: int, values: dict[Slot, Any]) -> None:
        """An item is about to be executed, in a rerun that takes: give it what it is the first to read.

        Raises:
            ReplayError: something has written to it.
        """
        for slot, tensor, known in self.kept[place]:
            if version(tensor) != known:
                raise ReplayError("what is the same in every rerun was overwritten by one")
            values[slot] = tensor

    def close(self) -> None:
        """The rerun that keeps has come to its end: find what need not be executed again."""
        wanted = {self._aliases.get(slot, slot) for place, slots in self._asked.items() if place not in self.kept for slot in slots}
        passed = set()
        for place in sorted(self._places, reverse=True):
            item = self._items[place]
            assert isinstance(item, Operation)
            touched = [*(slot for slot in item.outputs if slot is not None), *item.writes]
            if wanted.isdisjoint(self._aliases.get(slot, slot) for slot in touched):
                passed.add(place)
            else:
                wanted.update(self._aliases.get(slot, slot) for slot in item.reads)
        self.passed, self.is_known = frozenset(passed), True

    def forget(self) -> None:
        """A rerun that keeps has not come to its end."""
        self.room += sum(one.tensor.nbytes for each in self.kept.values() for one in each)
        self.kept.clear()

    def _unchanging(self, program: Program) -> set[int]:
        """Return the places of the operations that give the same in every rerun, and whose results nothing else writes to."""
        changed = self._changed_by_gradients(program)
        while True:
            places = self._places_without(program, changed)
            found = self._overwritten(program.items, places) - changed
            if not found:
                return places
            changed |= found

    def _places_without(self, program: Program, changed: set[Slot]) -> set[int]:
        made: set[Slot] = set()
        places = set()
        for place, item in enumerate(program.items):
            if not isinstance(item, Operation) or item.hole is not None or (self._draws_again and item.generator is not None):
                continue
            needs = item.reads
            if item.arguments and item.reads and kind_of(item.function).name in _SHAPING and item.arguments[0] == item.reads[0]:
                needs = item.reads[1:]
            outputs = [slot for slot in item.outputs if slot is not None]
            classes = [self._aliases.get(slot, slot) for slot in (*outputs, *item.writes)]
            if made.issuperset(needs) and changed.isdisjoint(classes) and (outputs or item.writes):
                made.update(outputs)
                places.add(place)
        return places

    def _overwritten(self, items: Sequence[Item], places: set[int]) -> set[Slot]:
        """Return the classes of slots into which something else writes, or which change after something else has read them."""
        shared: set[Slot] = set()
        read: set[Slot] = set()
        for place, item in enumerate(items):
            writes = {self._aliases.get(slot, slot) for slot in item.writes}
            if place in places:
                shared |= writes & read
            else:
                shared |= writes
                read.update(self._aliases.get(slot, slot) for slot in item.reads)
        return shared

    def _changed_by_gradients(self, program: Program) -> set[Slot]:
        """Return the classes of leaves and gradients: backwards and optimizers write to them, and no schema says so."""
        slots: set[Slot] = set(program.starts)
        for item in program.items:
            if not isinstance(item, Operation):
                slots.update(item.writes)
                slots.update(getattr(item, "gradients", ()) if hasattr(item, "held") else ())
                if (gradient := getattr(item, "gradient", None)) is not None:
                    slots.add(gradient)
        return {self._aliases.get(slot, slot) for slot in slots}


def _has_shape_of_values(operation: Operation) -> bool:
    """Whether values of a signal decide how large the result is."""
    if not kind_of(operation.function).is_sized_by_values:
        return False
    # What is picked by places that no weight has a part in is as large in every rerun.
    return (
        not kind_of(operation.function).name.startswith("index")
        or operation.reads[1:] != []
        or operation.arguments[0] not in operation.reads
    )
