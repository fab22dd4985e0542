"""An alarm on one number of a training: it goes off when the number rises beyond the noise that it has shown so far.

A number that was always positive, as most losses and every norm, is followed by its logarithm: its noise is a factor, however small it has
become. Any other is followed in units of its own mean deviation. What is judged is the rise above a running mean; noise is the highest rise
of late, so that no shape of its distribution is supposed: of values that are all alike a new one is the highest of n once in n, and rises
twice as far as the highest before it far more rarely. And a value is no news that was as high not long ago: the noise of a loss that falls
grows, for one of its terms falls no further.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

#: Values that make up the first mean.
SETTLING_VALUES = 10
#: Memory of the running mean, as a weight for the newest value; a quarter of it for high values, so that a new level becomes normal.
MEMORY = 0.05
#: Part of the highest rise that is forgotten with each value.
FORGETTING = 1.0 / 512.0
#: Values after which a rise counts as noise: what grows from step to step is to be compared with what was before it began to.
DELAY = 16
#: So many times the highest rise of late is beyond the noise, and so many times is grave.
BEYOND, FAR_BEYOND = 2.0, 6.0
#: The least rises that are called so, of the logarithm: to 1.05 times the mean, and to 5 times.
LEAST, LEAST_GRAVE = math.log(1.05), math.log(5.0)
#: The same in mean deviations, for a number that has not always been positive.
LEAST_DEVIATIONS, LEAST_GRAVE_DEVIATIONS = 8.0, 24.0
#: Values that a high one has to surpass.
SURPASSED = 100
#: A gradient that is grave is so many times the highest of late.
GRADIENT_LEAP = 5.0
#: Before the first mean has settled, a value so many times the highest so far is grave, of the logarithm.
EARLY_GRAVE = math.log(10.0)


class Level(IntEnum):
    """What a value says."""

    NOTHING = 0
    #: It is beyond the noise: worth a look.
    BEYOND_NOISE = 1
    #: It is so far beyond, or no number, that the training may be about to be lost.
    GRAVE = 2


class Alarm:
    """Follows one number, step by step.

    Args:
        leap: how many times the highest of late a value has to be to be grave, of a number that was always positive. A loss that grows
            from step to step is grave, however little it does; the norm of a gradient grows as well where a network begins to learn.
    """

    def __init__(self, leap: float = 1.0) -> None:
        self._leap = math.log(leap)
        self._is_positive = True
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._mean = self._deviation = self._noise = 0.0
        self._worst = -math.inf
        self._rises: deque[float] = deque()
        self._values: deque[float] = deque(maxlen=SURPASSED)

    def take(self, value: float) -> Level:
        """Take note of a value; what stays high is no news: the level is that of a value higher than it was while high."""
        if math.isnan(value) and not self._count:
            return Level.NOTHING  # never seen so far
        if self._is_positive and value <= 0.0:
            self._is_positive = False
            self._begin()
        if not math.isfinite(value):
            is_news = not (self._worst == math.inf)
            self._worst = math.inf
            return Level.GRAVE if is_news else Level.NOTHING
        present = math.log(value) if self._is_positive else value
        rise = present - self._mean
        level = self._judge(present, rise)
        is_worse = level is not Level.NOTHING and present > self._worst
        if level is Level.NOTHING:
            self._worst = -math.inf
        elif is_worse:
            self._worst = present
        self._learn(rise, is_high=level is not Level.NOTHING)
        self._values.append(value)
        return level if is_worse else Level.NOTHING

    def no_news(self, count: int) -> tuple[float, float]:
        """Return between which values, the first excluded, the next ones say nothing, up to so many; none where that is not known."""
        if self._count < SETTLING_VALUES + SURPASSED:
            return math.inf, -math.inf
        # What does not surpass those that will be there still is no news.
        return 0.0 if self._is_positive else -math.inf, max(list(self._values)[count - 1 :])

    def _highest(self) -> float:
        """The highest value of late, in the unit in which it is judged."""
        highest = max(self._values)
        return math.log(highest) if self._is_positive else highest

    def _judge(self, present: float, rise: float) -> Level:
        if self._count < SETTLING_VALUES:
            is_early = self._is_positive and self._values and present > self._highest() + EARLY_GRAVE
            return Level.GRAVE if is_early else Level.NOTHING
        if self._is_positive:
            least, grave = LEAST, LEAST_GRAVE
        else:
            least, grave = LEAST_DEVIATIONS * self._deviation, LEAST_GRAVE_DEVIATIONS * self._deviation
        if rise <= max(least, BEYOND * self._noise):
            return Level.NOTHING
        highest = self._highest()
        if present <= highest:
            return Level.NOTHING
        is_leap = not self._is_positive or present >= highest + self._leap
        return Level.GRAVE if is_leap and rise > max(grave, FAR_BEYOND * self._noise) else Level.BEYOND_NOISE

    def _learn(self, rise: float, *, is_high: bool) -> None:
        weight = MEMORY / 4 if is_high else max(MEMORY, 1.0 / (self._count + 1))
        self._mean += weight * rise
        self._count += 1
        if self._count > 1:  # the first value is the mean
            self._deviation += weight * (abs(rise) - self._deviation)
            self._rises.append(rise)
            # The first rises are there from the beginning: a run that has only begun is to have some noise.
            old = self._rises.popleft() if self._count > SETTLING_VALUES + DELAY else rise if self._count <= SETTLING_VALUES else 0.0
            self._noise = max(old, self._noise * (1.0 - FORGETTING))
