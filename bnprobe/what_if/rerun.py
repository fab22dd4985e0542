"""A program run again, with gradients: the stretch trained anew from where it began, at rates that are a factor times the script's own.

The operations are those that were executed below autograd; they are called from above it now, on fresh leaves, so that autograd makes the
same graph and goes backward through it with the same kernels. Copies of the optimizers make the steps. Nothing of the script's is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from bnprobe.observe.probes.replay import ReplayError, valued
from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.torch_private import AutocastDisabled, TorchFunctionDisabled, dispatch_depth, dispatch_modes_disabled
from bnprobe.what_if.calls import Call, set_gradient_mode
from bnprobe.what_if.course import Course, Steps
from bnprobe.what_if.optimizer_copy import copy_optimizer, set_settings
from bnprobe.what_if.program import Backward, Decision, Item, Move, Program, SetGradient, names
from bnprobe.what_if.unchanging import Unchanging


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


class Rerun:
    """Runs a program as often as asked.

    Args:
        program: the stretch.
        room: bytes that may be kept of what is the same in every rerun.
    """

    def __init__(self, program: Program, room: int = 0) -> None:
        self.program = program
        self._unchanging = Unchanging(program, room)
        self._calls = [Call(item) if isinstance(item, Operation) else None for item in program.items]
        self._last_use: dict[Slot, int] = {}
        for place, item in enumerate(program.items):
            self._last_use.update(dict.fromkeys(names(item), place))
        self._dying: list[tuple[Slot, ...]] = [() for _ in program.items]
        for slot, place in self._last_use.items():
            self._dying[place] = (*self._dying[place], slot)
        found = (item.generator for item in program.items if isinstance(item, Operation))
        self._generators = list({id(each[0]): each[0] for each in found if each is not None}.values())

    def run(
        self,
        factor: float = 1.0,
        edits: Edits | None = None,
        *,
        start: int | None = None,
        keep_values: bool = False,
        watch: Callable[[Item, State], None] | None = None,
        on_step: Callable[[int, float], None] | None = None,
    ) -> Course:
        """Train the stretch again.

        Args:
            factor: on every learning rate.
            edits: of a remedy.
            start: the step from which on both hold; None for the first. The steps before it are those that were recorded.
            keep_values: keep the losses of every backward.
            watch: called after every item.
            on_step: called with the number of each step and its loss.

        Returns:
            The course of the losses, up to where it diverged.

        Raises:
            RerunError: an operation does not accept what it gets, or the script might have gone another way.
            ReplayError: what an operation needs has been overwritten.
        """
        edits = edits or Edits()
        begins = self._place_of(start)
        course = Course()
        steps = Steps(course, self.program.first_step, on_step)
        unchanging = self._unchanging
        keeps, takes, is_whole = False, unchanging.is_known and start is None, False
        with self._undisturbed():
            state = self._fresh()
            try:
                for place, item in enumerate(self.program.items):
                    if place == begins:
                        edits.begin(state)
                        keeps = not unchanging.is_known and place == 0 and not edits.changes_signals
                        takes &= not edits.changes_signals
                    if takes:
                        if place in unchanging.passed:
                            self._forget_dying(place, state)
                            continue
                        if place in unchanging.kept:
                            unchanging.take(place, state.values)
                    elif keeps:
                        unchanging.keep(place, state.values)
                    try:
                        call = self._calls[place]
                        set_gradient_mode(call is None or call.asks_for_gradients)
                        if call is not None:
                            _operate(call, state, edits)
                        elif isinstance(item, Backward):
                            if steps.descend(item, state.values, keep_values):
                                return course
                            _go_back(item, state)
                        elif isinstance(item, Move):
                            _move(item, state, factor if place >= begins else 1.0, course)
                        elif isinstance(item, Decision):
                            if item.taken(state.values[item.slot]) != item.value:
                                if not _is_finite(state):
                                    steps.lose()
                                    return course
                                raise RerunError(f"the script looks at {item.asks}, which is another here: it might go another way", place)
                        elif isinstance(item, SetGradient):
                            _set_gradient(item, state)
                            if item.gradient is None:
                                edits.cleared(state.leaves[item.leaf])
                    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
                        name = getattr(item, "function", type(item).__name__)
                        raise RerunError(f"{name} does not accept what it gets: {str(error)[:200]}", place) from error
                    if watch is not None:
                        watch(item, state)
                    self._forget_dying(place, state)
                steps.close()
                is_whole = True
            finally:
                set_gradient_mode(True)
                edits.end()
                if keeps:
                    unchanging.close() if is_whole else unchanging.forget()
        return course

    def _forget_dying(self, place: int, state: State) -> None:
        for slot in self._dying[place]:
            state.values.pop(slot, None)

    def _place_of(self, start: int | None) -> int:
        """Return the item before which a step begins: behind the last update of the steps before it."""
        if start is None:
            return 0
        return max((move.place + 1 for move in self.program.moves if move.step < start), default=0)

    def _fresh(self) -> State:
        leaves: dict[Slot, torch.Tensor] = {}
        for slot, start in self.program.starts.items():
            copy = start.detach().clone(memory_format=torch.preserve_format)
            if isinstance(start, torch.nn.Parameter):
                copy = torch.nn.Parameter(copy, start.requires_grad)
            leaves[slot] = copy.requires_grad_(start.requires_grad)
        stands = {id(start): leaves[slot] for slot, start in self.program.starts.items()}
        optimizers = {number: copy_optimizer(optimizer, stands) for number, optimizer in self.program.optimizers.items()}
        return State(dict(leaves), leaves, optimizers)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        generators = [torch.default_generator, *(one for one in self._generators if one is not torch.default_generator)]
        states = [(generator, generator.get_state()) for generator in generators]
        with ExitStack() as stack:
            stack.enter_context(TorchFunctionDisabled())
            if dispatch_depth():
                stack.enter_context(dispatch_modes_disabled())
            stack.enter_context(AutocastDisabled())
            stack.enter_context(torch.enable_grad())
            try:
                yield
            finally:
                for generator, before in states:
                    generator.set_state(before)


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
