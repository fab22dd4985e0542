from __future__ import annotations

import itertools

import numpy as np
import pytest

from bnprobe.report.colours import ALARM, DIVERGING, KINDS, SEQUENTIAL, Scale


def lightness(colour: str) -> float:
    """CIE L* of a hexadecimal sRGB colour."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16


def of(scale: Scale) -> list[float]:
    return [lightness(str(colour)) for _, colour in scale]


def test_the_sequential_scale_reads_in_greyscale() -> None:
    steps = np.diff(of(SEQUENTIAL))
    assert (steps > 4).all()


def test_the_diverging_scale_darkens_from_its_middle_to_either_end() -> None:
    light = of(DIVERGING)
    middle = len(light) // 2
    assert (np.diff(light[: middle + 1]) > 5).all()
    assert (np.diff(light[middle:]) < -5).all()


@pytest.mark.parametrize("scale", [SEQUENTIAL, DIVERGING])
def test_scales_run_from_zero_to_one(scale: Scale) -> None:
    places = [place for place, _ in scale]
    assert places[0] == 0 and places[-1] == 1
    assert sorted(places) == places


def test_lines_show_on_white_and_on_near_black() -> None:
    for colour, _, _ in KINDS.values():
        assert 40 < lightness(colour) < 75


def test_kinds_differ_without_their_colours() -> None:
    for (name, (_, *one)), (other_name, (_, *other)) in itertools.combinations(KINDS.items(), 2):
        assert one != other, f"{name} and {other_name} look the same in greyscale"


def test_what_is_not_finite_has_a_colour_of_no_scale() -> None:
    assert ALARM not in {colour for scale in (SEQUENTIAL, DIVERGING) for _, colour in scale}
