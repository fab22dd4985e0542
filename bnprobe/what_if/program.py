"""A stretch of a training as a program: operations, backwards, and the steps of its optimizers, in the order in which they happened.

A tape (``observe.probes.tape``) holds the operations. Between them stand the moments at which autograd or an optimizer did something that
no operation shows: a backward, a gradient that was thrown away or put in by hand, an update. Signals that outlive a step (running
statistics, power iterations, a gradient scaler's factor, accumulated gradients) need no case of their own: they are slots like all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from bnprobe.observe.probes.tape import Constant, Hole, Operation, Slot, alias_classes
from bnprobe.what_if.optimizer_copy import largest_rate


@dataclass(eq=False)
class Backward:
    """A backward, or a gradient that was asked for.

    Attributes:
        outputs: where it starts.
        gradients: of each output; None is 1.
        inputs: leaves or signals it goes to; None for all leaves.
        accumulates: whether it adds to ``.grad``; otherwise it returns.
        keeps_graph: whether the graph was kept.
        creates_graph: whether the gradients can be differentiated.
        results: what it left: (leaf, slot of its gradient); of one that returns, (input, slot or None).
        losses: slots of the losses that the training descends, unscaled; empty where it is no step of the training.
        scale: a gradient scaler's factor that is still in them.
        recorded: their values, that factor taken out.
        step: the optimizer step that it belongs to.
    """

    outputs: list[Slot]
    gradients: list[Slot | Constant | None]
    inputs: list[Slot] | None
    accumulates: bool
    keeps_graph: bool
    creates_graph: bool
    results: list[tuple[Slot, Slot | None]] = field(default_factory=list)
    losses: list[Slot] = field(default_factory=list)
    scale: Slot | Constant | None = None
    recorded: list[torch.Tensor] = field(default_factory=list)
    step: int = -1
    place: int = -1

    @property
    def reads(self) -> list[Slot]:
        """The slots it needs."""
        given = [gradient for gradient in (*self.gradients, self.scale) if isinstance(gradient, Slot)]
        # It adds to gradients that are there, so that what has been done to them counts.
        return [*self.outputs, *given, *(self.inputs or ()), *self.losses, *(leaf for leaf, _ in self.results), *self.writes]

    @property
    def writes(self) -> list[Slot]:
        """The slots it overwrites: gradients that it adds to."""
        return [gradient for _, gradient in self.results if gradient is not None]


@dataclass(eq=False)
class SetGradient:
    """The script gave a leaf another gradient, or none."""

    leaf: Slot
    gradient: Slot | None
    place: int = -1

    @property
    def reads(self) -> list[Slot]:
        """The slots it needs."""
        return [self.leaf] if self.gradient is None else [self.leaf, self.gradient]

    @property
    def writes(self) -> list[Slot]:
        """The slots it overwrites: none."""
        return []


@dataclass(eq=False)
class Move:
    """An optimizer's step.

    Attributes:
        optimizer: its number.
        settings: of each group, the rate and all else but the parameters, as they were.
        held: the leaves that it may move.
        gradients: slots of the gradients that it finds.
        step: the optimizer step.
        conditions: slots of numbers; where one is not zero, a gradient scaler lets the step out.
        handed: what a gradient scaler hands to an optimizer that unscales and skips by itself, by attribute.
    """

    optimizer: int
    settings: list[dict[str, Any]]
    held: list[Slot]
    gradients: list[Slot]
    step: int
    conditions: list[Slot] = field(default_factory=list)
    handed: dict[str, Slot | Constant] = field(default_factory=dict)
    place: int = -1

    @property
    def reads(self) -> list[Slot]:
        """The slots it needs."""
        handed = [value for value in self.handed.values() if isinstance(value, Slot)]
        return [*self.held, *self.gradients, *self.conditions, *handed]

    @property
    def writes(self) -> list[Slot]:
        """The slots it overwrites."""
        return self.held


@dataclass(eq=False)
class Decision:
    """The script looked at a truth value, and may have gone one way or the other."""

    slot: Slot
    value: bool
    place: int = -1
    asks = "a truth value"

    @property
    def reads(self) -> list[Slot]:
        """The slots it needs."""
        return [self.slot]

    @property
    def writes(self) -> list[Slot]:
        """The slots it overwrites: none."""
        return []

    def taken(self, value: Any) -> bool:
        """Return how it is decided by a signal's value."""
        return bool(value)


@dataclass(eq=False)
class Emptiness(Decision):
    """Values of a signal say how many there are of another, as of the samples that a router gives to an expert: none may be passed over."""

    asks = "whether any value was chosen"

    def taken(self, value: Any) -> bool:
        """Return whether there are none."""
        return not value.numel()


Item = Operation | Backward | SetGradient | Move | Decision


@dataclass
class Program:
    """A stretch that can be run again.

    Attributes:
        items: what happened, in order; only what losses or weights depend on.
        starts: value of each leaf where the stretch begins; a leaf that asks for a gradient does so here.
        optimizers: by number, as they were where the stretch begins, holding the leaves of ``starts``.
        first_step: the optimizer step with which it begins.
        steps: how many.
        own_rate: the largest rate of any group within it.
        random_state: of the default generator where it begins.
        draws_nothing: whether that generator is in the same state where it ends.
    """

    items: list[Item]
    starts: dict[Slot, torch.Tensor]
    optimizers: dict[int, torch.optim.Optimizer]
    first_step: int
    steps: int
    own_rate: float
    random_state: torch.Tensor
    draws_nothing: bool

    @property
    def own_rates(self) -> tuple[float, float]:
        """The largest rate of any group where each optimizer first steps, and where it last does."""
        first: dict[int, float] = {}
        last: dict[int, float] = {}
        for move in self.moves:
            if (rate := largest_rate(move.settings)) == rate:
                first.setdefault(move.optimizer, rate)
                last[move.optimizer] = rate
        nothing = float("nan")
        return max(first.values(), default=nothing), max(last.values(), default=nothing)

    @property
    def backwards(self) -> list[Backward]:
        """Those that descend a loss of the training."""
        return [item for item in self.items if isinstance(item, Backward) and item.losses]

    @property
    def moves(self) -> list[Move]:
        """The steps of all optimizers."""
        return [item for item in self.items if isinstance(item, Move)]


def names(item: Item) -> Iterator[Slot]:
    """Yield every slot that an item needs or makes."""
    yield from item.reads
    yield from item.writes
    if isinstance(item, Operation):
        yield from (slot for slot in item.outputs if slot is not None)


def needed(items: list[Item], alive: Iterable[Slot] = ()) -> list[Item]:
    """Return, in order, what backwards and updates depend on; and what makes, or changes, slots that are alive still."""
    operations = [item for item in items if isinstance(item, Operation)]
    aliases = alias_classes(operations)
    wanted: set[Slot] = set()
    classes: set[Slot] = set()

    def want(slots: list[Slot]) -> None:
        wanted.update(slots)
        classes.update(aliases.get(slot, slot) for slot in slots)

    want(list(alive))
    kept: list[Item] = []
    for item in reversed(items):
        if isinstance(item, Operation):
            makes = any(slot in wanted for slot in item.outputs if slot is not None)
            changes = any(aliases.get(slot, slot) in classes for slot in item.writes)
            if not (makes or changes):
                continue
        want(item.reads)
        kept.append(item)
    kept.reverse()
    return kept


def hole_of(items: list[Item]) -> Hole | None:
    """Return the first thing that cannot be executed again, if there is any."""
    return next((item.hole for item in items if isinstance(item, Operation) and item.hole is not None), None)
