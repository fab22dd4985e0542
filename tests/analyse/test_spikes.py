from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.spikes import Limits, spikes
from bnprobe.store.reader import Run
from tests.synthetic_runs import residual_recording

LIMITS = Limits(before=20, length=3, sigmas=8.0, lasting=6.0, single=60.0, lone_sigmas=400.0, share=0.03)


def with_losses(*changed: tuple[int, float], offset: float = 0.0) -> Run:
    """A loss that falls from 3 to 1 in ten steps, with noise of 0.02."""
    made = residual_recording(steps=60)
    made.loss = 1.0 + 2.0 * np.clip(1 - np.arange(60) / 10, 0, 1) + 0.02 * np.random.default_rng(3).standard_normal(60)
    for place, value in changed:
        made.loss[place] = value
    made.loss += offset
    return made.run()


@pytest.mark.parametrize("offset", [0.0, -3.0])
def test_a_rise_that_stays_for_some_steps(offset: float) -> None:
    (spike,) = spikes(with_losses((40, 4.0), (41, 5.0), (42, 3.0), (43, 2.0), offset=offset), LIMITS)
    assert (spike.row, spike.loss, spike.came_back) == (40, 5.0 + offset, True)
    assert spike.level == pytest.approx(1.0 + offset, abs=0.02)
    assert spike.length in (3, 4, 5)


def test_one_hard_batch_is_none() -> None:
    assert spikes(with_losses((40, 2.0)), LIMITS) == []


def test_a_single_loss_far_above_the_noise_is_one() -> None:
    (spike,) = spikes(with_losses((40, 50.0)), LIMITS)
    assert (spike.row, spike.loss, spike.came_back) == (40, 50.0, True)


def test_a_single_loss_that_brings_back_all_that_was_gained_needs_less() -> None:
    limits = Limits(before=20, length=3, sigmas=8.0, lasting=6.0, single=1e9, lone_sigmas=28.0, share=0.03)
    assert len(spikes(with_losses((40, 3.5)), limits)) == 1
    assert spikes(with_losses((40, 2.5)), limits) == []


def test_a_rise_that_is_nothing_against_what_was_gained_is_none() -> None:
    limits = Limits(before=20, length=3, sigmas=8.0, lasting=6.0, single=60.0, lone_sigmas=400.0, share=2.0)
    assert spikes(with_losses((40, 4.0), (41, 5.0), (42, 4.0), (43, 4.0)), limits) == []


def test_one_that_does_not_come_back() -> None:
    (spike,) = spikes(with_losses(*((place, 4.0) for place in range(40, 60))), LIMITS)
    assert not spike.came_back
    assert spike.length == 20


@pytest.mark.parametrize("place", [58, 59])
def test_one_at_the_very_end(place: int) -> None:
    (spike,) = spikes(with_losses((place, 50.0)), LIMITS)
    assert (spike.row, spike.loss, spike.came_back) == (place, 50.0, False)


def test_nothing_stands_out_of_no_noise() -> None:
    made = residual_recording(steps=60)
    made.loss = np.zeros(60)
    made.loss[40] = 1e-30
    assert spikes(made.run(), LIMITS) == []


@pytest.mark.parametrize("steps", [0, 1, 5, 22])
def test_short_runs(steps: int) -> None:
    assert spikes(residual_recording(steps=steps).run(), LIMITS) == []
