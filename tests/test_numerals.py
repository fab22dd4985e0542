"""Numbers as people read them, read back: within the digits that they state, and in full where they are ordinary."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bnprobe.numerals import ORDINARY, is_ordinary, number, significant
from bnprobe.report import wording
from bnprobe.report.figures import scales
from bnprobe.report.limits_story import rate

SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read(text: str) -> float:
    """Read a number in any of its spellings."""
    text = text.replace("−", "-").replace("<sup>", "^").replace("</sup>", "")
    power = re.search(r"10\^?([-⁻⁰¹²³⁴⁵⁶⁷⁸⁹0-9]+)$", text) if "^" in text or re.search("[⁰¹²³⁴⁵⁶⁷⁸⁹]", text) else None
    if power is None:
        return float(text)
    head = text[: power.start()].rstrip("×")
    return float(f"{head + '1' if head in ('', '-') else head}e{power[1].translate(SUPERSCRIPT)}")


#: Every way of writing, and its significant digits: of ordinary numbers, and of those with a power of ten.
WAYS: dict[str, tuple[Callable[[float], str], int, int]] = {
    "a terminal": (number, 3, 3),
    "a rate": (rate, 3, 3),
    "a page": (wording.number, 3, 2),
    "a figure": (scales.shown_value, 3, 2),
}
floats = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
normal = floats.filter(lambda value: abs(value) > 1e-300 or value == 0)
ordinary = st.floats(min_value=ORDINARY[0], max_value=0.99 * ORDINARY[1])


@pytest.mark.parametrize("way", WAYS)
@given(value=normal)
@example(999.7)
@example(-999.5)
@example(9999.7)
@example(99999.9)
@example(0.00099996)
@example(0.9999)
@example(0.0)
def test_a_number_reads_back_within_its_digits(way: str, value: float) -> None:
    write, digits, digits_of_powers = WAYS[way]
    stated = digits if is_ordinary(value) else digits_of_powers
    assert abs(read(write(value)) - value) <= 0.5000001 * 10.0 ** (1 - stated) * abs(value)


@pytest.mark.parametrize("way", WAYS)
@given(value=ordinary)
@example(999.7)
@example(1000.0)
@example(99900.0)
def test_an_ordinary_number_has_no_power_of_ten(way: str, value: float) -> None:
    for one in (value, -value):
        assert re.fullmatch(r"[-−]?\d+(\.\d+)?", WAYS[way][0](one))


@pytest.mark.parametrize("way", WAYS)
@given(value=normal)
def test_what_is_written_is_written_the_same_when_read_back(way: str, value: float) -> None:
    write = WAYS[way][0]
    text = write(value)
    assert write(read(text)) == text


@given(st.floats(min_value=1e-12, max_value=1e12), st.integers(1, 9))
def test_significant_digits(value: float, digits: int) -> None:
    text = significant(value, digits)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.5000001 * 10.0 ** (1 - digits))
    assert abs(float(text) - value) <= 0.5000001 or value < 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_says_so(value: float) -> None:
    assert not re.search(r"\d", number(value))
    assert not re.search(r"\d", wording.number(value))
