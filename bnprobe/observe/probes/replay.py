"""A loss computed again from its tape, at other weights: without the model, without the loss function, without touching either.

What is executed are the operations that were executed, below autograd and autocast, on the same batch with the same random numbers; only
what depends on the parameters is computed anew. Whatever an operation overwrites is a copy, every generator is put back, and no graph is
built: the training cannot tell. At the weights of the step the result must be the loss that was descended, bit for bit; where it is not,
``Replay`` says so.

Decisions that the script took by looking at numbers stay as they were taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from bnprobe.observe.probes.tape import Constant, Mark, Operation, Slot, Tape, alias_classes, reachable
from bnprobe.torch_private import AutocastDisabled, BelowAutograd, TorchFunctionDisabled, dispatch_depth, dispatch_modes_disabled, version

#: Called with what a mark of the tape notes, and the signal as it is at that moment.
Watcher = Callable[[Any, torch.Tensor], None]


class ReplayError(Exception):
    """A loss cannot be computed again; the message says why."""


class Replay:
    """The part of a tape that some losses depend on.

    Args:
        tape: what was executed.
        losses: the slots of the losses, whose sum is descended.

    Attributes:
        inputs: the data that were followed and that the losses depend on, by slot.

    Raises:
        ReplayError: a part of it was not seen, or cannot be executed again.
    """

    def __init__(self, tape: Tape, losses: Sequence[Slot]) -> None:
        if tape.broken:
            raise ReplayError(tape.broken)
        self._losses = list(losses)
        self._operations = reachable(tape.operations, losses)
        hole = next((operation.hole for operation in self._operations if operation.hole is not None), None)
        if hole is not None:
            raise ReplayError(hole.reason)
        read = {slot for operation in self._operations for slot in operation.reads} | set(losses)
        self._slots = {slot: parameter for slot, parameter in tape.parameters.items() if slot in read}
        self.inputs = {slot: constant for slot, constant in tape.inputs.items() if slot in read}
        if not tape.outdated.isdisjoint(read):
            raise ReplayError("a weight has been overwritten after the loss was computed from it")
        aliases = alias_classes(self._operations)
        written = {aliases.get(slot, slot) for operation in self._operations for slot in operation.writes}
        self._overwritten = {slot for slot in (*self._slots, *self.inputs) if slot in written}
        self._last_use = {slot: place for place, operation in enumerate(self._operations) for slot in _named(operation)}
        self._marks = self._marks_of(tape)
        self._generators = list({id(found[0]): found[0] for o in self._operations if (found := o.generator) is not None}.values())

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Those that the losses depend on.

        Raises:
            ReplayError: one of them is gone.
        """
        return list(self._leaves().values())

    def _leaves(self) -> dict[Slot, torch.Tensor]:
        alive = {slot: parameter for slot, reference in self._slots.items() if (parameter := reference()) is not None}
        if len(alive) < len(self._slots):
            raise ReplayError("a weight that the loss was computed from is gone")
        return alive

    def _marks_of(self, tape: Tape) -> dict[int, list[Mark]]:
        """Return the marks of signals that are computed, by the operation before which they stand; keep those signals till then."""
        places = [operation.place for operation in self._operations]
        found: dict[int, list[Mark]] = {}
        for mark in tape.marks:
            if mark.slot in self._last_use:
                before = bisect_left(places, mark.place)
                found.setdefault(before, []).append(mark)
                self._last_use[mark.slot] = max(self._last_use[mark.slot], before)
        return found

    def losses(self, weights: Mapping[int, torch.Tensor], watcher: Watcher | None = None) -> list[torch.Tensor]:
        """Compute the losses.

        Args:
            weights: values by ``id`` of the parameter or of followed data; what is not named has the value it has now.
            watcher: told of every marked signal.

        Returns:
            One scalar per loss of the step, in their order.

        Raises:
            ReplayError: what the losses depend on has been overwritten since, or an operation does not accept its new operands.
        """
        values: dict[Slot, Any] = {slot: weights.get(id(p), p.detach()) for slot, p in self._leaves().items()}
        values.update(
            (slot, weights[id(one.tensor)] if id(one.tensor) in weights else valued(one, values)) for slot, one in self.inputs.items()
        )
        values.update((slot, values[slot].clone()) for slot in self._overwritten)
        kept = set(self._losses)
        with self._undisturbed():
            for place, operation in enumerate(self._operations):
                if watcher is not None and place in self._marks:
                    self._show(place, values, watcher)
                if operation.generator is not None:
                    operation.generator[0].set_state(operation.generator[1])
                result = self._execute(operation, values)
                for slot, value in zip(operation.outputs, result if isinstance(result, list | tuple) else (result,), strict=False):
                    if slot is not None:
                        values[slot] = value
                for slot in _named(operation):
                    if self._last_use[slot] == place and slot not in kept:
                        values.pop(slot, None)
            if watcher is not None:
                self._show(len(self._operations), values, watcher)
        return [values[slot] for slot in self._losses]

    def _show(self, place: int, values: dict[Slot, Any], watcher: Watcher) -> None:
        for mark in self._marks.get(place, ()):
            watcher(mark.note, values[mark.slot])

    def _execute(self, operation: Operation, values: dict[Slot, Any]) -> Any:
        arguments = [valued(argument, values) for argument in operation.arguments]
        keywords = {name: valued(value, values) for name, value in operation.keywords.items()}
        try:
            return operation.function(*arguments, **keywords)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            reason = f"{operation.function} does not accept what it gets at other weights: {str(error)[:200]}"
            raise ReplayError(reason) from error

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        states = [(generator, generator.get_state()) for generator in self._generators]
        with ExitStack() as stack:
            stack.enter_context(TorchFunctionDisabled())
            if dispatch_depth():
                stack.enter_context(dispatch_modes_disabled())
            stack.enter_context(AutocastDisabled())
            # As in the script's forward: some operations choose their kernel by it. Nothing is remembered below autograd.
            stack.enter_context(torch.enable_grad())
            stack.enter_context(BelowAutograd())
            try:
                yield
            finally:
                for generator, state in states:
                    generator.set_state(state)


def _named(operation: Operation) -> Iterator[Slot]:
    yield from operation.reads
    yield from (slot for slot in operation.outputs if slot is not None)


def valued(argument: Any, values: Mapping[Slot, Any]) -> Any:
    """Return an argument of a taped operation with its values in place of slots.

    Raises:
        ReplayError: a constant has been overwritten since it was taped.
    """
    kind = type(argument)
    if kind is Slot:
        return values[argument]
    if kind is Constant:
        if version(argument.tensor) != argument.version:
            raise ReplayError("a tensor that the loss was computed from has been overwritten since")
        return argument.tensor
    if kind in (list, tuple):
        return kind([valued(part, values) for part in argument])
    return argument
