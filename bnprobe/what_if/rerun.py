"""A program run again, with gradients: the stretch trained anew from where it began, at rates that are a factor times the script's own.

The operations are those that were executed below autograd; they are called from above it now, on fresh leaves, so that autograd makes the
same graph and goes backward through it with the same kernels. Copies of the optimizers make the steps. Nothing of the script's is touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from bnprobe.divergence import Diverged, Divergence
from bnprobe.observe.probes.replay import ReplayError, valued
from bnprobe.observe.probes.tape import Operation, Slot, view
from bnprobe.torch_private import AutocastDisabled, TorchFunctionDisabled, dispatch_depth, dispatch_modes_disabled
from bnprobe.what_if.optimizer_copy import copy_optimizer, set_settings
from bnprobe.what_if.program import Backward, Decision, Item, Move, Program, SetGradient, names


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
    """

    draws = False

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


@dataclass
class Course:
    """What became of a rerun.

    Attributes:
        losses: one for each step that was begun, as the script's own loss is recorded.
        skipped: whether a gradient scaler let the update out.
        diverged: that it diverged, if it did.
        values: of each backward's losses, in order; kept where asked for.
        leaves: the weights at the end.
    """

    losses: list[float] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    diverged: Diverged | None = None
    values: list[list[torch.Tensor]] = field(default_factory=list)


class Rerun:
    """Runs a program as often as asked.

    Args:
        program: the stretch.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
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
        keep_values: bool = False,
        watch: Callable[[Item, State], None] | None = None,
        on_step: Callable[[int, float], None] | None = None,
    ) -> Course:
        """Train the stretch again.

        Args:
            factor: on every learning rate.
            edits: of a remedy.
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
        course = Course()
        steps = _Steps(course, self.program.first_step, on_step)
        with self._undisturbed():
            state = self._fresh()
            try:
                edits.begin(state)
                for place, item in enumerate(self.program.items):
                    try:
                        if isinstance(item, Operation):
                            self._operate(item, state, edits)
                        elif isinstance(item, Backward):
                            if steps.descend(item, state.values, keep_values):
                                return course
                            _go_back(item, state)
                        elif isinstance(item, Move):
                            _move(item, state, factor, course)
                        elif isinstance(item, Decision):
                            if bool(state.values[item.slot]) != item.value:
                                if not _is_finite(state):
                                    steps.lose()
                                    return course
                                raise RerunError("the script looks at a truth value, which is another here: it might go another way", place)
                        else:
                            _set_gradient(item, state)
                            if item.gradient is None:
                                edits.cleared(state.leaves[item.leaf])
                    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError) as error:
                        name = getattr(item, "function", type(item).__name__)
                        raise RerunError(f"{name} does not accept what it gets: {str(error)[:200]}", place) from error
                    if watch is not None:
                        watch(item, state)
                    for slot in self._dying[place]:
                        state.values.pop(slot, None)
                steps.close()
            finally:
                edits.end()
        return course

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

    def _operate(self, operation: Operation, state: State, edits: Edits) -> None:
        values = state.values
        if operation.generator is not None and not edits.draws:
            operation.generator[0].set_state(operation.generator[1])
        arguments = [valued(argument, values) for argument in operation.arguments]
        keywords = {name: valued(value, values) for name, value in operation.keywords.items()}
        with torch.set_grad_enabled(operation.with_grad):
            if operation.function is view and not operation.with_grad:
                arguments[0] = arguments[0].data
            arguments = edits.arguments(operation, arguments, state)
            result = operation.function(*arguments, **keywords)
            result = edits.result(operation, arguments, result, state)
        for slot, value in zip(operation.outputs, result if isinstance(result, list | tuple) else (result,), strict=False):
            if slot is not None:
                values[slot] = value

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


class _Steps:
    """Adds losses up by step, and asks after each whether the training has diverged."""

    def __init__(self, course: Course, first: int, on_step: Callable[[int, float], None] | None) -> None:
        self._course = course
        self._step = first
        self._losses: list[float] = []
        self._watched = Divergence()
        self._on_step = on_step

    def descend(self, item: Backward, values: Mapping[Slot, Any], keep: bool) -> bool:
        """Take the loss of a backward; return whether the step before has diverged."""
        if not item.losses:
            return False
        if item.step != self._step:
            self.close()
            self._step = item.step
            if self._course.diverged is not None:
                return True
        found = [values[slot].detach() for slot in item.losses]
        if item.scale is not None:
            found = [value / valued(item.scale, values) for value in found]
        if keep:
            self._course.values.append([value.clone() for value in found])
        self._losses.append(float(found[0]) if len(found) == 1 else float(torch.stack([value.reshape(()) for value in found]).sum()))
        return False

    def lose(self) -> None:
        """The training has been lost before the step's loss was descended."""
        self._losses = [math.nan]
        self.close()

    def close(self) -> None:
        """The step is over."""
        if not self._losses:
            return
        loss = sum(self._losses) if len(self._losses) > 1 else self._losses[0]
        self._losses = []
        course = self._course
        course.losses.append(loss)
        course.skipped += [False] * (len(course.losses) - len(course.skipped))
        course.diverged = self._watched.take(self._step, loss, course.skipped[len(course.losses) - 1])
        if self._on_step is not None:
            self._on_step(self._step, loss)


def _is_finite(state: State) -> bool:
    """Whether every signal that is kept, and every weight, is finite."""
    tensors = (value for value in (*state.values.values(), *state.leaves.values()) if isinstance(value, torch.Tensor))
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point() and not tensor.is_sparse)


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


def losses_differ(program: Program, course: Course) -> tuple[int, float, float] | None:
    """Compare a rerun at the script's own rates with the recorded training, bit for bit.

    Returns:
        The step, the recorded loss and the one of the rerun where they part; None where they are equal.
    """
    for item, found in zip(program.backwards, course.values, strict=False):
        for recorded, value in zip(item.recorded, found, strict=True):
            if not _equal(recorded, value):
                return item.step, float(recorded), float(value)
    return None


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b) or (math.isnan(float(a)) and math.isnan(float(b)))
