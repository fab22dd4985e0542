"""How a number is written, wherever a person reads one: ordinary magnitudes in full, the others with a power of ten.

The form is chosen by the digits that are printed: 999.7 in three digits is 1000, which is an ordinary number, and not "1e+03".

This file knows neither torch nor numpy.
"""

from __future__ import annotations

import math

#: Magnitudes that are written without a power of ten, the second excluded.
ORDINARY = (1e-3, 1e5)
#: Significant digits.
DIGITS = 3


def significant(value: float, digits: int = DIGITS) -> str:
    """Return a finite number without a power of ten, with so many significant digits, and all those before the point.

    >>> significant(0.12345), significant(999.7), significant(1234.5), significant(0.00005), significant(1.0), significant(-0.0)
    ('0.123', '1000', '1234', '0.00005', '1', '0')
    """
    value = float(value) + 0.0  # there is no negative zero
    decimals = digits - 1 - exponent_of(value, digits)
    text = f"{value:.{max(0, decimals)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def exponent_of(value: float, digits: int = DIGITS) -> int:
    """Return the power of ten of a finite number's first digit, once it is rounded to so many; 0 for zero.

    >>> exponent_of(999.4), exponent_of(999.7), exponent_of(0.02)
    (2, 3, -2)
    """
    return int(f"{float(value):.{digits - 1}e}".partition("e")[2])


def is_ordinary(value: float, digits: int = DIGITS) -> bool:
    """Whether a finite number is written without a power of ten."""
    rounded = abs(float(f"{float(value):.{digits - 1}e}"))
    return rounded == 0 or ORDINARY[0] <= rounded < ORDINARY[1]


def mantissa(value: float, digits: int = DIGITS) -> tuple[str, int]:
    """Return the digits that a finite number is written with, and the power of ten behind.

    >>> mantissa(-3.1e8), mantissa(9.996e9)
    (('-3.1', 8), ('1', 10))
    """
    text, _, exponent = f"{float(value):.{digits - 1}e}".partition("e")
    return text.rstrip("0").rstrip(".") if "." in text else text, int(exponent)


def number(value: float, digits: int = DIGITS) -> str:
    """Return a number as a terminal shows it.

    >>> number(0.1234), number(3.2e8), number(999.7), number(4980.0), number(float("nan")), number(float("inf"))
    ('0.123', '3.2e+08', '1000', '4980', 'NaN', 'infinite')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if is_ordinary(value, digits):
        return significant(value, digits)
    text, exponent = mantissa(value, digits)
    return f"{text}e{exponent:+03d}"
