"""Series of losses that diverge, and series that only look as if: the one definition, online and afterwards."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnprobe.divergence import DIVERGENCE_RATIO, ENOUGH_LOSSES, MOST_VALUES, Diverged, Divergence, _Sample, first_divergence

NAN, INF = math.nan, math.inf


def online(losses: Sequence[float], skipped: Sequence[bool] | None = None) -> int | None:
    """The step at which the watch that knows no future says that the training diverged."""
    watched = Divergence()
    for step, loss in enumerate(losses):
        if watched.take(step, loss, bool(skipped and skipped[step])) is not None:
            return step
    return None


def afterwards(losses: Sequence[float], skipped: Sequence[bool] | None = None) -> int | None:
    found = first_divergence(losses, skipped)
    return None if found is None else found.step


def noise(count: int, size: float, seed: int = 0) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0.0, size) for _ in range(count)]


#: Trainings that diverge, and where: at the step of "1000 times the first" for a loss with a natural zero.
DIVERGING = {
    "a squared error that doubles": ([2.0**n for n in range(40)], 10),
    "a squared error that leaps": ([2.3, 2.2, 5e4, 1e9], 2),
    "exactly a thousand times is not above": ([2.0, 1.0, 3.0, 1999.0, 2000.0, 2000.1], 5),
    "from a well trained start": ([1e-4 * 3.0**n for n in range(20)], 7),
    "a growth without haste": ([0.5 * 1.05**n for n in range(400)], 142),
    "in small units": ([1e-6 * 10.0**n for n in range(12)], 4),
    "after a fall by six decades": ([10.0 ** (-n / 10) for n in range(60)] + [1e2, 1e4, 1e6], 61),
    "not a number": ([2.3, 2.2, NAN, 2.1], 2),
    "not a number at once": ([NAN, 1.0], 0),
    "infinite": ([2.3, INF], 1),
    "minus infinite": ([2.3, -INF], 1),
    "a likelihood that explodes": ([3.0 - n / 10 for n in range(100)] + [10.0**n for n in range(1, 12)], 103),
    "a critic that explodes": ([0.3 * math.sin(n) for n in range(200)] + [3.0**n for n in range(30)], 205),
    "a loss with zeros among its values": ([1.0, 0.5, 0.0, 0.2, 0.0, 1e4], 5),
    "a loss that began at zero": ([0.0, *(0.1 * (1 + n % 3) for n in range(30)), 50.0, 300.0], 32),
    "a loss that is tiny for ever, and then is not": ([1e-9] * 30 + [1.0], 30),
}
#: Trainings that do not.
STANDING = {
    "nothing": [],
    "one loss": [2.3],
    "a falling cross-entropy": [2.3 * 0.97**n for n in range(300)],
    "an improving log-likelihood": [0.003 - n / 60 for n in range(300)],
    "one that improves, and comes back to its level": [*(0.003 - n / 60 for n in range(300)), *(-5 + n / 30 for n in range(300))],
    "a critic that wanders": [-0.003, *noise(500, 0.3)],
    "a critic whose steps add up": [-0.003 + sum(noise(n, 0.05)) for n in range(150)],
    "a critic that grows for ever": [-0.003 * (n + 1) * math.sin(n) for n in range(3000)],
    "a critic without a bound": [-0.003 * 1.1**n for n in range(300)],
    "a policy loss of cancelling terms": [1e-9, *noise(500, 0.02, seed=1)],
    "a divergence from a frozen twin": [min(1e-8 * n**3, 0.1) for n in range(600)],
    "zero all along": [0.0] * 100,
    "a fall by six decades and the way back": [10.0 ** (-n / 10) for n in range(60)] + [10.0 ** (n / 10 - 6) for n in range(60)],
    "noise of a small batch": [2.0 * math.exp(x) for x in noise(1000, 1.0, seed=2)],
    "a loss whose scale is large": [1e12 * 0.9**n for n in range(100)],
    "subnormal": [5e-324, *([1e-310] * 30)],
    "about to overflow": [1e308, 1.7e308, 1e308],
}


@pytest.mark.parametrize("name", DIVERGING)
def test_a_training_that_diverges_has_a_step_at_which_it_did(name: str) -> None:
    losses, step = DIVERGING[name]
    assert online(losses) == step
    assert afterwards(losses) == step


@pytest.mark.parametrize("name", STANDING)
def test_a_training_that_does_not_is_not_accused(name: str) -> None:
    assert online(STANDING[name]) is None
    assert afterwards(STANDING[name]) is None


@given(st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=1, max_size=60))
def test_a_loss_with_a_natural_zero_is_compared_with_its_first_value(losses: list[float]) -> None:
    above = [step for step, loss in enumerate(losses) if loss > DIVERGENCE_RATIO * losses[0]]
    assert online(losses) == (above[0] if above else None)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_hindsight_never_finds_more_in_what_was_not_skipped(losses: list[float], skipped: list[bool]) -> None:
    found, seen = first_divergence(losses, skipped[: len(losses)]), online(losses, skipped)
    if found is not None and not skipped[found.step]:
        assert seen is not None and seen <= found.step
    if seen is None and not any(skipped[: len(losses)]):
        assert found is None


@given(st.lists(st.floats(min_value=-1e3, max_value=1e3), min_size=ENOUGH_LOSSES, max_size=60), st.floats(min_value=1e-3, max_value=1e3))
def test_the_unit_of_the_loss_does_not_matter(losses: list[float], unit: float) -> None:
    start = [1.0, -1.0]  # of a size far from the rounding of float32, in any of the units
    assert online([*start, *losses]) == online([unit * 4.0 * loss / 4.0 for loss in [*start, *losses]])


class TestSkippedSteps:
    def test_a_gradient_scaler_that_looks_for_its_scale_is_no_divergence(self) -> None:
        losses, skipped = [INF, NAN, 2.0, 1.9, INF, 1.8], [True, True, False, False, True, False]
        assert online(losses, skipped) is None
        assert afterwards(losses, skipped) is None

    def test_a_skipped_loss_says_nothing_of_the_scale(self) -> None:
        losses, skipped = [1e9, 2.0, 1.9, 5e3], [True, False, False, False]
        assert online(losses, skipped) == afterwards(losses, skipped) == 3

    def test_a_skipped_loss_that_is_finite_is_passed_over(self) -> None:
        assert online([2.0, 1e9, 1.9], [False, True, False]) is None
        assert afterwards([2.0, 1e9, 1.9], [False, True, False]) is None

    def test_skipped_for_ever_is_a_divergence_in_hindsight(self) -> None:
        losses, skipped = [2.0, 1.9, INF, INF, INF], [False, False, True, True, True]
        assert online(losses, skipped) is None
        assert afterwards(losses, skipped) == 2


class TestSpikes:
    def test_a_rise_that_the_training_came_back_from(self) -> None:
        falling = [2.0 * 0.97**n for n in range(60)]
        spiking = [*falling[:30], 1e6, *falling[31:]]
        assert online(spiking) == 30
        assert afterwards(spiking) is None

    def test_not_if_it_is_back_at_its_first_value_only(self) -> None:
        assert afterwards([*(2.0 * 0.97**n for n in range(30)), 1e6, *[2.0] * 29]) == 30

    def test_not_if_nothing_had_been_learned_before(self) -> None:
        assert afterwards([2.0, 1.9, 1e6, *[0.1] * 60]) == 2

    def test_not_if_it_ends_up_there(self) -> None:
        assert afterwards([*[1.0] * 30, 1e6, 0.1, 0.1]) == 30
        assert afterwards([*[1.0] * 30, 1e6, 0.1, 0.1, 0.1]) is None

    def test_a_number_that_is_none_is_never_one(self) -> None:
        assert afterwards([*[1.0] * 30, NAN, *[0.1] * 30]) == 30

    def test_the_divergence_after_a_spike_is_found(self) -> None:
        assert afterwards([*[1.0] * 30, 1e6, *[0.1] * 30, NAN]) == 61

    def test_of_a_critic(self) -> None:
        wandering = noise(200, 0.3)
        assert afterwards([*wandering[:100], 1e6, *wandering[100:]]) is None


def test_the_reason_says_what_the_loss_is_compared_with() -> None:
    assert str(first_divergence([2.0, 1.0, 5e3])) == "the loss is 5000, 2500 times its first value"
    assert str(first_divergence([-1.0] * 20 + [5e3])) == "the loss is 5000, 5000 times its usual size"
    assert str(Diverged(0, NAN, 1.0, is_first_value=True)) == "the loss is nan"


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5 * MOST_VALUES))
def test_a_sample_is_bounded_and_its_median_is_that_of_the_series_as_long_as_it_is_short(values: list[int]) -> None:
    sample = _Sample()
    for count, value in enumerate(values, 1):
        sample.add(value)
        if count <= MOST_VALUES:
            assert sample.median() == statistics.median_low(values[:count])
    assert len(sample._sorted) == len(sample._in_time) <= MOST_VALUES
    assert sample._in_time == values[:: sample._stride]


def test_it_needs_no_package() -> None:
    program = "import sys, bnprobe.divergence; sys.exit(bool({'torch', 'numpy', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
