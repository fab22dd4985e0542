"""A program run again, with gradients: the stretch trained anew from where it began, at rates that are a factor times the script's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.torch_private import AutocastDisabled, TorchFunctionDisabled, dispatch_depth, dispatch_modes_disabled
from bnprobe.what_if.calls import Call
from bnprobe.what_if.course import Course
from bnprobe.what_if.optimizer_copy import copy_optimizer
from bnprobe.what_if.program import Backward, Item, Program, names
from bnprobe.what_if.training import Edits, State, Training
from bnprobe.what_if.unchanging import Unchanging


class Rerun:
    """Runs a program as often as asked.

    Args:
        program: the stretch.
        room: bytes that may be kept of what is the same in every rerun.
    """

    def __init__(self, program: Program, room: int = 0) -> None:
        self.program = program
        self.unchanging = Unchanging(program, room)
        self.calls = [Call(item) if isinstance(item, Operation) else None for item in program.items]
        self._last_use: dict[Slot, int] = {}
        for place, item in enumerate(program.items):
            self._last_use.update(dict.fromkeys(names(item), place))
        self.dying: list[tuple[Slot, ...]] = [() for _ in program.items]
        for slot, place in self._last_use.items():
            self.dying[place] = (*self.dying[place], slot)
        found = (item.generator for item in program.items if isinstance(item, Operation))
        self.generators = list({id(each[0]): each[0] for each in found if each is not None}.values())

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
        training = self.begin(factor, edits, start=start, keep_values=keep_values, watch=watch, on_step=on_step)
        training.go_on()
        return training.course

    def begin(
        self,
        factor: float = 1.0,
        edits: Edits | None = None,
        *,
        start: int | None = None,
        keep_values: bool = False,
        watch: Callable[[Item, State], None] | None = None,
        on_step: Callable[[int, float], None] | None = None,
    ) -> Training:
        """Begin a training that can be paused and taken up again; the arguments are those of ``run``."""
        return Training(self, factor, edits or Edits(), self._behind(start), start is None, keep_values, watch, on_step)

    @property
    def room(self) -> int:
        """Bytes that may still be kept."""
        return self.unchanging.room

    def stop_after(self, steps: int) -> int | None:
        """Return the item before which so many steps are over; None where they are never, or something of theirs comes later."""
        items, first = self.program.items, self.program.first_step + steps
        place = self._behind(first)
        later = any(isinstance(item, Backward) and item.step < first for item in items[place:])
        return None if later or steps >= self.program.steps else place

    def _behind(self, step: int | None) -> int:
        """Return the item before which a step begins: behind the last update of the steps before it."""
        if step is None:
            return 0
        return max((move.place + 1 for move in self.program.moves if move.step < step), default=0)

    def fresh(self) -> State:
        """Return what a training begins with."""
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
    def undisturbed(self) -> Iterator[None]:
        """Leave modes and generators of random numbers as they are."""
        generators = [torch.default_generator, *(one for one in self.generators if one is not torch.default_generator)]
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
