"""What steps take, and what of that is the recorder's: all of it, not only what a clock was held to.

Of what the recorder does among the script's own work a clock sees the smaller part. Both find their memory displaced by the other, and the
way from torch to us and back is nobody's. So a step that is measured, with the one in whose time it is closed, is held against steps that
are not: what the two take longer than those is what measuring costs. How many times that is what the clock saw is remembered as a factor,
by the medians of late, and the factor is taken to be the same for notes of steps that pass by, which nothing can be held against.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

#: Measured steps whose cost is remembered, and how many times the usual one a single cost counts at most.
COSTS, DEAREST = 11, 1.5
#: Memory of how long a step takes, as a weight for the newest.
MEMORY = 0.05
#: Seconds over which what unmeasured steps cost is averaged: a burst of rows is made every two of them.
PASSING_SECONDS = 10.0
#: Durations of steps of late that say how long one takes, and the fewest that do.
DURATIONS, FEWEST_DURATIONS = 31, 5
#: Comparisons that say how many times what a clock sees a step costs, the fewest that do, and the most that is believed.
COMPARISONS, FEWEST_COMPARISONS, LARGEST_FACTOR = 21, 3, 8.0
#: Steps behind a measured one from which on nothing of it is felt, and those without such a step after which any other counts as one.
SETTLED, LONGEST_UNSETTLED = 2, 8


class Cost(NamedTuple):
    """What a step cost, in seconds: for measuring, and for what is done at every step."""

    measuring: float
    passing: float


class Costs:
    """Follows what steps take.

    Attributes:
        bare: what a step takes without the recorder, in seconds.
        passing: what the recorder takes of a step that is not measured.
        measuring: what measuring a step costs: the mean of the last, of which none counts much more than the usual.
        factor: how many times what its clock sees the recorder costs, where it is called from within a step.
        steps: how many there were.
    """

    def __init__(self) -> None:
        self.bare = self.passing = self.measuring = 0.0
        self.factor = 1.0
        self.steps = 0
        self._passing_steps = 0
        self._costs: deque[float] = deque(maxlen=COSTS)
        self._durations: dict[int, deque[float]] = {}  # of steps that nothing disturbed, by whose turn they were
        self._comparisons: deque[tuple[float, float]] = deque(
            maxlen=COMPARISONS
        )  # what measured steps took longer, and what was seen of it
        self._measured: tuple[float, float] | None = None  # the same of the last, which is not closed
        self._since = 0  # steps since it
        self._unsettled = 0  # steps since one of which nothing of it was felt

    def take(
        self, seconds: float, seen: float, closing: float, was_observed: bool, turn: int, quiet: float = 1.0, was_interrupted: bool = False
    ) -> Cost:
        """Take note of a step.

        Args:
            seconds: its duration.
            seen: what the recorder's clock saw of its own part in it.
            closing: the part of ``seen`` that made a row of a measured step before it.
            was_observed: whether it was measured.
            turn: whose turn it was, see ``Turns``.
            quiet: the share of the time of late that the training did not wait for a processor. What is returned is of that alone.
            was_interrupted: whether another program was given the processor meanwhile: nothing is compared with such a step.
        """
        own, usual = seen - closing, self._usual(turn)
        is_settled = not was_observed and self._since + 1 >= SETTLED
        self._unsettled = 0 if is_settled else self._unsettled + 1
        longer = seconds - own - usual if usual is not None and not was_interrupted else None
        if was_observed:
            self._since, passing = 0, 0.0
            self._measured = (longer + own - closing, own) if longer is not None else None
        else:
            self._since += 1
            if self._since == 1:
                self._compare(longer, closing)
            if (is_settled or usual is None) and not was_interrupted:
                self._durations.setdefault(turn, deque(maxlen=DURATIONS)).append(seconds - seen)
            passing = quiet * min(max(longer, 0.0) + own, self.factor * own) if is_settled and longer is not None else quiet * own
            self._note_passing(passing, 1, quiet * seconds)
        cost = Cost(quiet * self.factor * (own * was_observed + closing), passing)
        if was_observed or closing:
            self._note_measured(quiet * self.factor * own if was_observed else None, quiet * self.factor * closing)
        self.steps += 1
        if is_settled or usual is None or self._unsettled > LONGEST_UNSETTLED:
            self.bare += max(MEMORY, 1.0 / self.steps) * (max(quiet * seconds - sum(cost), 0.0) - self.bare)
        return cost

    def take_passed(self, seconds: Sequence[float], noted: Sequence[float], made: float, turn: int, quiet: float = 1.0) -> Cost:
        """Take note of steps that have passed by.

        Args:
            seconds: their durations. In the first lies what was done with those that had passed before.
            noted: what noting each has taken; where another program ran meanwhile, that counts as what is usual, or little more.
            made: what making their rows, and putting rows on disk, has taken.
            turn: whose turn they were.
            quiet: as of ``take``.
        """
        count, whole = len(seconds), quiet * sum(seconds)
        usual_note = statistics.median(noted)
        passing = quiet * (self.factor * sum(min(one, DEAREST * usual_note) for one in noted) + made)
        self._since += count
        self._unsettled = 0
        if count > 1:
            usual = statistics.median(seconds[1:]) - usual_note
            self._durations.setdefault(turn, deque(maxlen=DURATIONS)).append(usual)
        self._note_passing(passing, count, whole)
        self.steps += count
        memory = max(1.0 - (1.0 - MEMORY) ** count, count / self.steps)
        self.bare += memory * (max(whole - passing, 0.0) / count - self.bare)
        return Cost(0.0, passing)

    def _usual(self, turn: int) -> float | None:
        """How long a step takes that nothing disturbs."""
        durations = self._durations.get(turn, ())
        return statistics.median(durations) if len(durations) >= FEWEST_DURATIONS else None

    def _compare(self, longer: float | None, closing: float) -> None:
        """A measured step is closed: learn from what it and the one after it took longer."""
        if self._measured is not None and longer is not None:
            before, seen = self._measured
            self._comparisons.append((before + longer, seen + closing))
            if len(self._comparisons) >= FEWEST_COMPARISONS:
                took, was_seen = map(statistics.median, zip(*self._comparisons, strict=True))
                self.factor = min(max(took / was_seen, 1.0), LARGEST_FACTOR) if was_seen > 0.0 else 1.0

    def _note_measured(self, cost: float | None, closing: float) -> None:
        """Take note of what a measured step cost, and of what closing the one before it did."""
        if self._costs:
            self._costs[-1] += closing
        if cost is not None:
            self._costs.append(cost)
        usual = sorted(self._costs)[len(self._costs) // 2] if self._costs else 0.0
        self.measuring = sum(min(one, DEAREST * usual) for one in self._costs) / max(len(self._costs), 1)

    def _note_passing(self, cost: float, count: int, seconds: float) -> None:
        self._passing_steps += count
        memory = min(max(count / self._passing_steps, seconds / PASSING_SECONDS), 1.0)
        self.passing += memory * (cost / count - self.passing)
