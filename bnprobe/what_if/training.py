"""One training of the stretch again, which can be paused after some steps and taken up there.

The operations are those that were executed below autograd; they are called from above it now, on fresh leaves, so that autograd makes the
same graph and goes backward through it with the same kernels. Copies of the optimizers make the steps. Nothing of the script's is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bnprobe.observe.probes.replay import ReplayError, valued
from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.what_if.calls import Call, set_gradient_mode
from bnprobe.what_if.course import Course, Steps
from bnprobe.what_if.optimizer_copy import set_settings
from bnprobe.what_if.program import Backward, Decision, Item, Move, SetGradient

if TYPE_CHECKING:
    from bnprobe.what_if.rerun import Rerun


class RerunError(ReplayError):
    """The stretch cannot be run again so; the message says why.

    Attributes:
        place: the item at which it stopped.
    """

    def __init__(self, reason: str, place: int = -1) -> None:
        super().__init__(reason)
        self.place = place


@dataclass
class State:
    """What a rerun works on.

    Attributes:
        values: by slot.
        leaves: by slot.
        optimizers: by number.
    """

    values: dict[Slot, Any]
    leaves: dict[Slot, torch.Tensor]
    optimizers: dict[int, torch.optim.Optimizer]


class Edits:
    """What a remedy changes in a rerun. This one changes nothing.

    Attributes:
        draws: whether it draws random numbers, from a generator that otherwise stands still.
        changes_signals: whether arguments or results of operations are others; asked once it has begun.
    """

    draws = False
    changes_signals = False

    def begin(self, state: State) -> None:
        """The leaves have their first values, and no optimizer has made a step."""

    def arguments(self, operation: Operation, arguments: list[Any], state: State) -> list[Any]:
        """Return the arguments of an operation."""
        return arguments

    def result(self, operation: Operation, arguments: list[Any], result: Any, state: State) -> Any:
        """Return the result of an operation."""
        return result

    def cleared(self, leaf: torch.Tensor) -> None:
        """The script has thrown a gradient away."""

    def end(self) -> None:
        """The rerun is over."""


class Training:
    """One training of the stretch: it goes on to its end, or for some steps, and later on from there.

    Args:
        rerun: the stretch.
        factor: on every learning rate.
        edits: of a remedy.
        begins: the item from which on both hold.
        is_whole: whether they hold from the first step on.
        keep_values: keep the losses of every backward.
        watch: called after every item.
        on_step: called with the number of each step and its loss.

    Attributes:
        course: of the losses so far.
    """

    def __init__(
        self,
        rerun: Rerun,
        factor: float,
        edits: Edits,
        begins: int,
        is_whole: bool,
        keep_values: bool,
        watch: Callable[[Item, State], None] | None,
        on_step: Callable[[int, float], None] | None,
    ) -> None:
        self.course = Course()
        self._rerun, self._factor, self._edits, self._begins = rerun, factor, edits, begins
        self._keep_values, self._watch = keep_values, watch
        self._steps = Steps(self.course, rerun.program.first_step, on_step)
        self._takes = rerun.unchanging.is_known and is_whole
        self._place = 0
        self._state: State | None = None
        self._random_states = list[tuple[torch.Generator, torch.Tensor]]()

    @property
    def held_bytes(self) -> int:
        """Memory of what it works on, while it is paused."""
        if self._state is None:
            return 0
        leaves = self._state.leaves.values()
        moments = (value for optimizer in self._state.optimizers.values() for each in optimizer.state.values() for value in each.values())
        gradients = (leaf.grad for leaf in leaves)
        held = (*self._state.values.values(), *leaves, *gradients, *moments)
        return sum({id(each): each.nbytes for each in held if isinstance(each, torch.Tensor)}.values())

    def go_on(self, stop: int | None = None) -> bool:
        """Train on.

        Args:
            stop: the item before which it is paused; None to train to the end.

        Returns:
            Whether it has come to its end, or diverged.

        Raises:
            RerunError: an operation does not accept what it gets, or the script might have gone another way.
            ReplayError: what an operation needs has been overwritten.
        """
        is_left = False
        keeps = stop is None and self._place == 0 and not self._rerun.unchanging.is_known
        with self._rerun.undisturbed():
            for generator, state in self._random_states:
                generator.set_state(state)
            try:
                is_left = self._execute(stop, keeps)
                if is_left and self._edits.draws:
                    self._random_states = [(one, one.get_state()) for one in (torch.default_generator, *self._rerun.generators)]
            finally:
                set_gradient_mode(True)
                if not is_left:
                    self.end()
        return not is_left

    def end(self) -> None:
        """It will not be taken up again."""
        self._edits.end()
        self._state = None

    def _execute(self, stop: int | None, keeps: bool) -> bool:
        """Execute the items up to one; return whether it was reached, and the training goes on."""
        rerun, unchanging, items, watch = self._rerun, self._rerun.unchanging, self._rerun.program.items, self._watch
        state = self._state = self._state or rerun.fresh()
        is_whole = False
        try:
            for place in range(self._place, len(items) if stop is None else stop):
                item = items[place]
                if place == self._begins:
                    self._edits.begin(state)
                    keeps = keeps and place == 0 and not self._edits.changes_signals
                    self._takes &= not self._edits.changes_signals
                if self._takes:
                    if place in unchanging.passed:
                        _forget(rerun.dying[place], state)
                        continue
                    if place in unchanging.kept:
                        unchanging.take(place, state.values)
                elif keeps:
                    unchanging.keep(place, state.values)
                try:
                    if self._ends_with(place, item, state):
                        return False
                except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
                    name = getattr(item, "function", type(item).__name__)
                    raise RerunError(f"{name} does not accept what it gets: {str(error)[:200]}", place) from error
                if watch is not None:
                    watch(item, state)
                _forget(rerun.dying[place], state)
            self._steps.close()
            is_whole = stop is None
            self._place = stop or len(items)
            return stop is not None and self.course.diverged is None
        finally:
            if keeps:
                unchanging.close() if is_whole else unchanging.forget()

    def _ends_with(self, place: int, item: Item, state: State) -> bool:
        """Execute an item; return whether the training has diverged."""
        call = self._rerun.calls[place]
        set_gradient_mode(call is None or call.asks_for_gradients)
        if call is not None:
            _operate(call, state, self._edits)
        elif isinstance(item, Backward):
            if self._steps.descend(item, state.values, self._keep_values):
                return True
            _go_back(item, state)
        elif isinstance(item, Move):
            _move(item, state, self._factor if place >= self._begins else 1.0, self.course)
        elif isinstance(item, Decision):
            if item.taken(state.values[item.slot]) != item.value:
                if not _is_finite(state):
                    self._steps.lose()
                    return True
                raise RerunError(f"the script looks at {item.asks}, which is another here: it might go another way", place)
        elif isinstance(item, SetGradient):
            _set_gradient(item, state)
            if item.gradient is None:
                self._edits.cleared(state.leaves[item.leaf])
        return False


def _forget(dying: tuple[Slot, ...], state: State) -> None:
    for slot in dying:
        state.values.pop(slot, None)


def _is_finite(state: State) -> bool:
    """Whether every signal that is kept, and every weight, is finite."""
    tensors = (value for value in (*state.values.values(), *state.leaves.values()) if isinstance(value, torch.Tensor))
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point() and not tensor.is_sparse)


def _operate(call: Call, state: State, edits: Edits) -> None:
    operation, values = call.operation, state.values
    if operation.generator is not None and not edits.draws:
        operation.generator[0].set_state(operation.generator[1])
    arguments, keywords = call.arguments(values), call.keywords(values)
    if edits.changes_signals:
        arguments = edits.arguments(operation, arguments, state)
        result = edits.result(operation, arguments, operation.function(*arguments, **keywords), state)
    else:
        result = operation.function(*arguments, **keywords)
    call.keep(result, values)


def _go_back(item: Backward, state: State) -> None:
    values = state.values
    outputs = [values[slot] for slot in item.outputs]
    gradients = [None if gradient is None else valued(gradient, values) for gradient in item.gradients]
    inputs = None if item.inputs is None else [values[slot] for slot in item.inputs]
    if item.accumulates:
        torch.autograd.backward(outputs, gradients, item.keeps_graph, item.creates_graph, inputs=inputs)
        for leaf, slot in item.results:
            if slot is not None:
                values[slot] = state.leaves[leaf].grad
        return
    assert inputs is not None
    found = torch.autograd.grad(
        outputs, inputs, gradients, retain_graph=item.keeps_graph, create_graph=item.creates_graph, allow_unused=True
    )
    for (_, slot), value in zip(item.results, found, strict=True):
        if slot is not None:
            values[slot] = value


def _set_gradient(item: SetGradient, state: State) -> None:
    state.leaves[item.leaf].grad = None if item.gradient is None else state.values[item.gradient]


def _move(item: Move, state: State, factor: float, course: Course) -> None:
    optimizer = state.optimizers[item.optimizer]
    if any(float(state.values[slot]) != 0.0 for slot in item.conditions):
        course.skipped += [False] * (len(course.losses) - len(course.skipped)) + [True]
        if not item.handed:
            return
    for name, value in item.handed.items():
        setattr(optimizer, name, valued(value, state.values))
    set_settings(optimizer, item.settings, factor)
    optimizer.step()
    for name in item.handed:
        delattr(optimizer, name)
