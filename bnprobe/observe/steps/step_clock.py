"""What a step is.

A step opens with the first forward or backward after the last update and is closed when the next one begins, so that several optimizers
stepping in a row, or one optimizer stepping inside backward, make one step. A program without an optimizer object, or one whose optimizer
never steps, is counted by its backward calls.

Nothing here knows torch: events of the training go in, events of the clock come out, in the order in which they are to be acted on.
"""

from __future__ import annotations

from typing import NamedTuple

#: Backward calls without an update after which an existing optimizer is taken to be unused.
UNUSED_OPTIMIZER_BACKWARDS = 256


class StepClosed(NamedTuple):
    """A step is over: nothing that happens from now on belongs to it.

    Attributes:
        number: the step, counted from 0. The next one is open.
    """

    number: int


class WeightsMoved(NamedTuple):
    """The open step has had an update, or a scaler has refused it one: it will be closed when the next one begins.

    Attributes:
        number: the open step.
        by_hand: a backward call is all that was seen of it: the script moves its weights itself.
    """

    number: int
    by_hand: bool


class CountsBackwards(NamedTuple):
    """From now on a step is one backward call.

    Attributes:
        number: the open step.
        reason: why: what was seen of optimizers.
    """

    number: int
    reason: str


Event = StepClosed | WeightsMoved | CountsBackwards

NOTHING: tuple[Event, ...] = ()


class StepClock:
    """Follows one training.

    Args:
        first: number of the first step: 0, unless the training goes on from a checkpoint.

    Attributes:
        number: the open step, counted from 0.
        micro_steps: backward calls of the open step.
        counts_backwards: whether a step is one backward call.
    """

    def __init__(self, first: int = 0) -> None:
        self.number = self._first = first
        self.micro_steps = 0
        self.counts_backwards = False
        self._moved_by: tuple[int, ...] = ()
        self._moved_before: frozenset[int] = frozenset()
        self._is_moved = False
        self._backwards_without_update = 0

    @property
    def is_moved(self) -> bool:
        """Whether the open step has had its update, and only waits for the next one to begin."""
        return self._is_moved

    @property
    def moved_by(self) -> tuple[int, ...]:
        """Keys of the optimizers that have stepped in the open step so far, in order."""
        return self._moved_by

    @property
    def backwards_without_update(self) -> int:
        """Backward calls since the last update of an optimizer; each one may be counted as a step by then."""
        return self._backwards_without_update

    @property
    def moved_before(self) -> frozenset[int]:
        """Keys of the optimizers that stepped in the step that was closed last."""
        return self._moved_before

    @property
    def last_update(self) -> int:
        """The step whose update came last, or that is going on; -1 before the first update."""
        return self.number if self.number > self._first or self._is_moved else -1

    def renumber(self, first: int) -> None:
        """Give the first step, which is open, another number."""
        self.number = self._first = first

    def settle(self) -> tuple[Event, ...]:
        """Close the step whose update has happened, without waiting for the next one to begin."""
        return self._close() if self._is_moved else NOTHING

    def forward_began(self) -> tuple[Event, ...]:
        """A forward with gradient has begun."""
        return self._close() if self._is_moved else NOTHING

    def backward_began(self) -> tuple[Event, ...]:
        """A backward has begun, outside any other."""
        events = self._close() if self._is_moved else NOTHING
        self.micro_steps += 1
        return events

    def backward_failed(self) -> None:
        """The backward has raised: it is no part of the step."""
        self.micro_steps -= 1

    def backward_ended(self, *, has_optimizer: bool) -> tuple[Event, ...]:
        """The backward has run to its end.

        Args:
            has_optimizer: whether any optimizer exists.

        Returns:
            What follows from it, in order.
        """
        self._backwards_without_update += 1
        if self._is_moved:  # optimizers stepped inside it, one parameter at a time
            return NOTHING
        is_unused = self._backwards_without_update > UNUSED_OPTIMIZER_BACKWARDS
        if has_optimizer and not is_unused:
            return NOTHING
        events: tuple[Event, ...] = NOTHING
        if not self.counts_backwards:
            self.counts_backwards = True
            events = (CountsBackwards(self.number, "its optimizer never stepped" if is_unused else "the script has no optimizer object"),)
        self._is_moved = True
        return (*events, WeightsMoved(self.number, by_hand=True))

    def update_began(self, optimizer: int, *, inside_backward: bool = False) -> tuple[Event, ...]:
        """An optimizer is about to move its weights.

        Args:
            optimizer: what tells it from the others.
            inside_backward: whether a backward is going on.

        Returns:
            What follows from it, in order.
        """
        events = self._close() if optimizer in self._moved_by and not inside_backward else NOTHING
        self.counts_backwards = False
        self._backwards_without_update = 0
        return events

    def update_ended(self, optimizer: int) -> tuple[Event, ...]:
        """An optimizer has moved its weights, or a scaler has kept it from doing so."""
        self._moved_by += (optimizer,)
        self._is_moved = True
        return (WeightsMoved(self.number, by_hand=False),)

    def passed(self, count: int, optimizer: int) -> None:
        """The open step, which has had its update, was followed by so many of one backward and one update of this optimizer each."""
        before = frozenset((optimizer,)) if count > 1 else frozenset(self._moved_by)
        self.number += count  # nothing is called from here on: no signal's handler comes between
        self.micro_steps = 1
        self._moved_before, self._moved_by = before, (optimizer,)
        self._is_moved = True
        self.counts_backwards = False
        self._backwards_without_update = 0

    def _close(self) -> tuple[Event, ...]:
        closed = StepClosed(self.number)
        self.number += 1
        self.micro_steps = 0
        self._moved_before, self._moved_by = frozenset(self._moved_by), ()
        self._is_moved = False
        return (closed,)
