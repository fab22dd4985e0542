"""Page's cumulative sum of a loss, upwards: the classical test for a shift of a mean (Page 1954, Biometrika 41, 100-115).

    S_0 = 0,    S_t = max(0, S_(t-1) + (x_t - m) / s - k),    alarm once S_t >= h

with the mean m and the deviation s of what is normal, the slack k (half the shift that is looked for, in deviations) and the threshold h.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence

#: The standardised form of the textbooks (Montgomery, Introduction to Statistical Quality Control, chapter 9): a shift of one deviation,
#: and about 465 values between two false alarms. What is normal is told by the first values.
SLACK, THRESHOLD, REFERENCE = 0.5, 5.0, 20
#: Of the detector of trainscope 1.8: median and MAD of the last losses, after a first few.
THEIR_SLACK, THEIR_THRESHOLD, THEIR_WINDOW, THEIR_FIRST = 1.0, 6.0, 200, 30
#: No deviation is smaller, as a share of the mean or, of trainscope's, by itself.
LEAST_DEVIATION = 1e-12


def textbook(losses: Sequence[float], reference: int = REFERENCE) -> list[float]:
    """The sums S_t; 0 while the reference is gathered, infinite from the first loss that is no number.

    Args:
        losses: of every step.
        reference: so many first losses say what is normal.
    """
    sums = [0.0] * min(reference, len(losses))
    if any(not math.isfinite(loss) for loss in losses[:reference]):
        first = next(row for row, loss in enumerate(losses) if not math.isfinite(loss))
        return [0.0] * first + [math.inf] * (len(losses) - first)
    if len(losses) <= reference:
        return sums
    mean, deviation = statistics.fmean(losses[:reference]), statistics.stdev(losses[:reference])
    deviation = max(deviation, LEAST_DEVIATION * abs(mean), LEAST_DEVIATION)
    total = 0.0
    for loss in losses[reference:]:
        total = max(0.0, total + (loss - mean) / deviation - SLACK) if math.isfinite(loss) else math.inf
        sums.append(total)
    return sums


def of_trainscope(losses: Sequence[float]) -> list[float]:
    """The same with what is normal told by the last losses; what no number is says nothing of it."""
    before: deque[float] = deque(maxlen=THEIR_WINDOW)
    total, sums = 0.0, list[float]()
    for loss in losses:
        if len(before) >= THEIR_FIRST:
            middle = statistics.median(before)
            deviation = max(1.4826 * statistics.median(abs(one - middle) for one in before), LEAST_DEVIATION)
            total = max(0.0, total + (loss - middle) / deviation - THEIR_SLACK) if math.isfinite(loss) else math.inf
        sums.append(total)
        if math.isfinite(loss):
            before.append(loss)
    return sums


def first_at(sums: Sequence[float], threshold: float) -> int | None:
    """The first row whose sum reaches a threshold."""
    return next((row for row, total in enumerate(sums) if total >= threshold), None)


def threshold_for(alarms: int, highest: Sequence[float]) -> float:
    """The lowest threshold above which no more runs than so many come.

    Args:
        alarms: runs that may give an alarm.
        highest: the highest sum of each healthy run.

    Returns:
        The threshold; just above the highest sum of the first run that may not.
    """
    ordered = sorted(highest, reverse=True)
    return max(math.nextafter(ordered[alarms], math.inf), LEAST_DEVIATION) if alarms < len(ordered) else LEAST_DEVIATION
