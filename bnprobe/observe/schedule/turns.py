"""Which optimizers take turns, so that each is measured as often as the others.

A critic that steps five times to its generator's once would have five sixths of what is measured at equal distances, and two that alternate
would leave one of them unmeasured wherever the distances are even. What steps next is foretold from what repeated so far; where nothing
repeats, every step is as good as another.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque

#: Steps that are remembered, and the longest repetition that is looked for.
REMEMBERED, LONGEST = 128, 40
#: Sets of optimizers that are remembered, beyond those of late.
MOST_SETS = 512
#: Repetitions are believed that have held for so many steps at least.
BELIEVED = 8
#: A turn that does not come within so many repetitions is given up.
PATIENCE = 3


class Turns:
    """Follows which sets of optimizers move the weights, step by step."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}
        self._unused = itertools.count()
        self._steps: deque[int] = deque(maxlen=REMEMBERED)
        self._step = -1
        self._counts: Counter[int] = Counter()
        self._was_measured = False

    @property
    def present(self) -> int:
        """The number of the set of optimizers that moved the weights last."""
        return self._steps[-1] if self._steps else -1

    def note(self, step: int, optimizers: tuple[int, ...]) -> bool:
        """Take note of which optimizers have moved weights in a step so far.

        Args:
            step: its number.
            optimizers: what tells each from the others.

        Returns:
            Whether they are seen for the first time, in a step that is not the first.
        """
        is_first = not self._numbers
        is_new = optimizers not in self._numbers
        number = self._numbers.setdefault(optimizers, next(self._unused))
        if number not in self._counts:
            # It is not to be measured until it has caught up with what began long before.
            self._counts[number] = min((self._counts[other] for other in set(self._steps)), default=0)
        if step == self._step:  # another optimizer of the same step
            self._counts[self._steps[-1]] -= self._was_measured
            self._counts[number] += self._was_measured
            self._steps[-1] = number
            return False
        self._steps.append(number)
        self._step, self._was_measured = step, False
        if len(self._numbers) > MOST_SETS:
            self._forget()
        return is_new and not is_first

    def note_again(self, step: int, count: int) -> None:
        """The optimizers of the step noted last have moved weights in so many more, the last of which is this one."""
        self._steps.extend(itertools.repeat(self._steps[-1], count))
        self._step, self._was_measured = step, False

    def begins_anew(self) -> bool:
        """Whether none of the optimizers of the step noted last has moved weights in the remembered steps before it."""
        own = self._steps[-1]
        before = {number for number in self._steps if number != own}
        latest = {one for optimizers, number in self._numbers.items() if number == own for one in optimizers}
        return all(latest.isdisjoint(optimizers) for optimizers, number in self._numbers.items() if number in before)

    def measured(self, step: int) -> None:
        """A step was measured, the one noted last."""
        if step == self._step and not self._was_measured:
            self._counts[self._steps[-1]] += 1
            self._was_measured = True

    def is_turn(self, waited: int) -> bool:
        """Whether the next step is one of those of which the fewest were measured.

        Args:
            waited: steps since one was due.
        """
        active = set(self._steps)
        if len(active) < 2:
            return True
        period = self._period()
        if period is None or waited > PATIENCE * period:
            return True
        upcoming = {self._steps[-place] for place in range(1, period + 1)}
        fewest = min(self._counts[number] for number in upcoming)
        return self._counts[self._steps[-period]] <= fewest

    def _forget(self) -> None:
        """Forget the sets that have not been seen of late: some programs make an optimizer for every task."""
        active = set(self._steps)
        self._numbers = {optimizers: number for optimizers, number in self._numbers.items() if number in active}
        self._counts = Counter({number: count for number, count in self._counts.items() if number in active})

    def _period(self) -> int | None:
        """After how many steps the same optimizers come again; None where nothing repeats."""
        steps = list(self._steps)
        steps.reverse()  # the last first
        for period in range(1, min(LONGEST, len(steps) // 2) + 1):
            long = max(BELIEVED, period)
            if len(steps) >= long + period and all(steps[place] == steps[place + period] for place in range(long)):
                return period
        return None
