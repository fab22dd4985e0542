from __future__ import annotations

import math
import random

import pytest

from bnprobe.observe.schedule.alarm import GRADIENT_LEAP, Alarm, Level


def levels(values: list[float]) -> list[Level]:
    alarm = Alarm()
    return [alarm.take(value) for value in values]


def rises(values: list[float]) -> int:
    return sum(level is not Level.NOTHING for level in levels(values))


def noise(kind: str, count: int) -> list[float]:
    draw = random.Random(0)
    make = {
        "gauss": lambda: 1.0 + 0.1 * draw.gauss(0.0, 1.0),
        "squares": lambda: draw.gauss(0.0, 1.0) ** 2,
        "lognormal": lambda: math.exp(draw.gauss(0.0, 1.0)),
        "pareto": lambda: draw.paretovariate(1.0),
        "signed": lambda: draw.gauss(0.0, 1.0),
    }[kind]
    return [make() for _ in range(count)]


@pytest.mark.parametrize("kind", ["gauss", "squares", "lognormal", "pareto", "signed"])
def test_noise_of_any_shape_is_no_rise(kind: str) -> None:
    assert rises(noise(kind, 10_000)) <= 6
    assert levels(noise(kind, 10_000)).count(Level.GRAVE) <= (2 if kind == "pareto" else 0)


def test_a_falling_or_noisy_loss_is_no_rise() -> None:
    assert rises([1.0 / (1 + step) for step in range(2000)]) == 0
    assert rises([10.0 * 0.99**step + 0.5 * ((step * 7919) % 100) / 100 for step in range(500)]) == 0


@pytest.mark.parametrize("growth", [1.05, 1.1, 1.5])
def test_what_grows_from_step_to_step_is_told_before_it_is_large(growth: float) -> None:
    draw = random.Random(1)
    values = [math.exp(0.1 * draw.gauss(0.0, 1.0) + math.log(growth) * max(0, step - 200)) for step in range(300)]
    first = next(step for step, level in enumerate(levels(values)) if step > 200 and level is not Level.NOTHING)
    assert growth ** (first - 200) < 4.0


def test_a_training_that_is_lost_in_its_first_steps_is_told() -> None:
    assert levels([0.8, 160.0])[1] is Level.GRAVE
    assert not any(levels([0.8, 2.0, 5.0, 12.0]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_grave(value: float) -> None:
    assert levels([1.0, 1.0, 1.0, value, value]) == [Level.NOTHING] * 3 + [Level.GRAVE, Level.NOTHING]


def test_a_number_that_was_never_seen_is_no_news() -> None:
    assert rises([math.nan] * 100) == 0


def test_what_stays_high_is_no_news() -> None:
    found = levels([1.0, 1.01] * 50 + [30.0] * 20)
    assert found[100] is Level.GRAVE
    assert not any(found[101:])


def test_a_number_that_becomes_negative_begins_anew() -> None:
    assert rises([1.0, 0.5, 0.2, *noise("signed", 1000)]) <= 1


def test_a_gradient_that_grows_as_learning_begins_is_not_grave() -> None:
    growing, leaping = Alarm(GRADIENT_LEAP), Alarm(GRADIENT_LEAP)
    calm = [1.0 + 0.001 * (step % 2) for step in range(200)]
    assert Level.GRAVE not in [growing.take(value) for value in [*calm, *(1.03**step for step in range(200))]]
    assert [leaping.take(value) for value in [*calm, 8.0]][-1] is Level.GRAVE
