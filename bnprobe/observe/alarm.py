"""An alarm on one number of a training: it goes off when the number leaves the band it has kept so far."""

from __future__ import annotations

import math

#: Mean deviations above the running mean, and share of that mean, beyond which a number is high.
DEVIATIONS = 8.0
SHARE = 0.05
#: Values that make up the first band.
SETTLING_VALUES = 10
#: Memory of the running mean, as a weight for the newest value; a quarter of it for high values, so that a new level becomes normal.
MEMORY = 0.05


class Alarm:
    """Follows one number, step by step."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._deviation = 0.0
        self._worst = -math.inf

    def goes_off(self, value: float) -> bool:
        """Take note of a value; return whether it is high, and higher than it was while high: what stays high is no news."""
        if math.isnan(value) and not self._count:
            return False
        above = value - self._mean
        settled = self._count >= SETTLING_VALUES
        high = not math.isfinite(value) or (settled and above > DEVIATIONS * self._deviation + SHARE * abs(self._mean))
        worse = high and not (value <= self._worst or math.isnan(self._worst))
        if worse:
            self._worst = value
        elif not high:
            self._worst = -math.inf
        if math.isfinite(value):
            weight = MEMORY / 4 if high else max(MEMORY, 1.0 / (self._count + 1))
            self._mean += weight * above
            self._deviation += weight * (abs(above) - self._deviation)
            self._count += 1
        return worse
