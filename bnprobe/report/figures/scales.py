"""Numbers on axes and colour bars: powers of ten for logarithms, few digits for the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bnprobe.numerals import is_ordinary, mantissa, significant

#: A colour bar beside its figure.
BAR = {"thickness": 10, "outlinewidth": 0, "tickfont_size": 10, "len": 1.0, "y": 0.5, "xpad": 6, "ticks": "", "ticklabeloverflow": "allow"}
#: An axis is logarithmic from this ratio of its largest to its smallest value on.
LOGARITHMIC_FROM = 20.0
#: Plotly draws powers a quarter larger than other numbers.
POWERS = {"exponentformat": "power", "tickfont_size": 10}


def power_of_ten(exponent: float) -> str:
    """Write 10 to a power as plotly draws it.

    >>> power_of_ten(-3.0), power_of_ten(0.5), power_of_ten(0.0), power_of_ten(1.0)
    ('10<sup>−3</sup>', '3.2', '1', '10')
    """
    if abs(exponent - round(exponent)) < 1e-9:
        if round(exponent) in (0, 1):
            return "1" if round(exponent) == 0 else "10"
        return f"10<sup>{round(exponent):d}</sup>".replace("-", "−")
    return f"{10**exponent:.2g}"


def shown_value(value: float) -> str:
    """Write a number with three digits, large and small ones with a power of ten, as plotly draws it.

    >>> shown_value(0.1234), shown_value(-3.1e8), shown_value(0.0), shown_value(1000.0)
    ('0.123', '−3.1×10<sup>8</sup>', '0', '1000')
    """
    if not np.isfinite(value):
        return "not finite"
    if is_ordinary(value):
        return significant(value).replace("-", "−")
    digits, exponent = mantissa(value, 2)
    times = "" if digits == "1" else "−" if digits == "-1" else f"{digits}×"
    return f"{times}10<sup>{exponent}</sup>".replace("-", "−")


def decades(low: float, high: float, most: int = 6) -> tuple[list[float], list[str]]:
    """Return places and labels within the limits: of whole powers of ten; of 1, 2, 5 of each, or of the ends, where there would be one.

    >>> decades(-3.0, 0.0)[1], decades(-3.6, -2.8)[1], decades(0.05, 0.25)[1]
    (['10<sup>−3</sup>', '10<sup>−2</sup>', '10<sup>−1</sup>', '1'], ['5×10<sup>−4</sup>', '0.001'], ['1.12', '1.78'])
    """
    first, last = int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9))
    if last > first:
        places = [float(place) for place in range(first, last + 1, max(1, -(-(last - first) // (most - 1))))]
        return places, [power_of_ten(place) for place in places]
    finer = [power + math.log10(digit) for power in range(first - 1, last + 1) for digit in (1, 2, 5)]
    within = [place for place in finer if low - 1e-9 <= place <= high + 1e-9]
    places = within if len(within) > 1 else [low, high]
    return places, [shown_value(10**place) for place in places]


def log_ticks(low: float, high: float, most: int = 5) -> dict[str, Any]:
    """Return the ticks of a logarithmic axis between two powers of ten: whole decades where there are some, else 1, 2, 5 of each in full.

    Below a decade plotly finds ticks itself, where 1, 2, 5 may all lie outside. Of 0.5 it writes the digit alone.
    """
    if high - low > 2:
        return {"dtick": max(1, round((high - low) / most)), **POWERS}
    if high - low <= 0.8:
        return {"nticks": most + 1}
    places = [digit * 10.0**power for power in range(math.floor(low) - 1, math.ceil(high) + 1) for digit in (1, 2, 5)]
    return {"tickmode": "array", "tickvals": places, "ticktext": [shown_value(place) for place in places]}


def value_axis(low: float, high: float, most: int) -> dict[str, Any]:
    """Return an axis with a little room at both ends, so that a mark there is whole; logarithmic where the values span far."""
    if low > 0 and high / low >= LOGARITHMIC_FROM:
        ends = np.log10([low, high])
        room = 0.06 * (ends[1] - ends[0])
        return {"type": "log", "range": [ends[0] - room, ends[1] + room], **log_ticks(float(ends[0]), float(ends[1]), most)}
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - room, high + room], "nticks": most + 1}
