"""What a recording can carry beside its measurements, each where it is asked for: a what-if, figures to compare by, advice that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.attaching.patches import Patches


class Companion:
    """Goes along with a recording and is told what the training does; a subclass overrides what it has an ear for."""

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """These optimizers were built before the recording began."""

    def attach(self, patches: Patches) -> None:
        """The recording begins, or goes on; ``patches`` are undone by whoever made them."""

    def detach(self) -> None:
        """The recording pauses, or ends."""

    def backward_begins(self, step: int) -> None:
        """The training goes backward in a step."""

    def update_begins(self) -> None:
        """An optimizer was called, and nobody has looked at its weights yet."""

    def before_update(self, optimizer: Optimizer) -> None:
        """Everybody has looked at the weights, and the optimizer moves them next."""

    def after_update(self) -> None:
        """An optimizer has moved its weights."""

    def step_ended(self, was_measured: bool) -> None:
        """The weights of a step have moved; what was measured of it is brought in when the next one begins."""

    def step_closed(self, step: int) -> None:
        """A step's measurements are whole."""

    def leave_off(self) -> None:
        """Another program is about to take the script's place: if it does, nothing else follows."""

    def finish(self, steps: int, ending: Any) -> None:
        """The recording is over, its rows are written, and nothing is attached any more.

        Args:
            steps: updates that were made.
            ending: how the run ended, with ``status``, ``detail`` and ``exit_status``.
        """


class Companions(Companion):
    """Several as one, told in their order.

    Args:
        companions: those that go along.
    """

    def __init__(self, companions: Sequence[Companion]) -> None:
        self._all = tuple(companions)
        # What comes at every step is told to those that have an ear for it.
        self._backward_begins = self._overriding("backward_begins")
        self._update_begins = self._overriding("update_begins")
        self._before_update = self._overriding("before_update")
        self._after_update = self._overriding("after_update")
        self._step_ended = self._overriding("step_ended")
        self._step_closed = self._overriding("step_closed")

    @property
    def follow_steps(self) -> bool:
        """Whether any of them has an ear for what comes at every step."""
        return any(
            (
                self._backward_begins,
                self._update_begins,
                self._before_update,
                self._after_update,
                self._step_ended,
                self._step_closed,
            )
        )

    def _overriding(self, event: str) -> tuple[Callable[..., None], ...]:
        return tuple(getattr(one, event) for one in self._all if getattr(type(one), event) is not getattr(Companion, event))

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """Tell each of them."""
        for one in self._all:
            one.expect(optimizers)

    def attach(self, patches: Patches) -> None:
        """Tell each of them."""
        for one in self._all:
            one.attach(patches)

    def detach(self) -> None:
        """Tell each of them."""
        for one in self._all:
            one.detach()

    def backward_begins(self, step: int) -> None:
        """Tell each of them."""
        for tell in self._backward_begins:
            tell(step)

    def update_begins(self) -> None:
        """Tell each of them."""
        for tell in self._update_begins:
            tell()

    def before_update(self, optimizer: Optimizer) -> None:
        """Tell each of them."""
        for tell in self._before_update:
            tell(optimizer)

    def after_update(self) -> None:
        """Tell each of them."""
        for tell in self._after_update:
            tell()

    def step_ended(self, was_measured: bool) -> None:
        """Tell each of them."""
        for tell in self._step_ended:
            tell(was_measured)

    def step_closed(self, step: int) -> None:
        """Tell each of them."""
        for tell in self._step_closed:
            tell(step)

    def leave_off(self) -> None:
        """Tell each of them."""
        for one in self._all:
            one.leave_off()

    def finish(self, steps: int, ending: Any) -> None:
        """Tell each of them."""
        for one in self._all:
            one.finish(steps, ending)
