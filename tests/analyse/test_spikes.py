from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.spikes import spikes
from tests.synthetic_runs import residual_recording


def with_losses(*changed: tuple[int, float]) -> object:
    made = residual_recording(steps=60)
    made.loss = 1.0 + 0.02 * np.random.default_rng(3).standard_normal(60)
    for place, value in changed:
        made.loss[place] = value
    return made.run()


def test_a_rise_that_stays_for_some_steps() -> None:
    (spike,) = spikes(with_losses((30, 4.0), (31, 5.0), (32, 3.0), (33, 2.0)), 20, 3, 8.0, 1.5, 10.0)
    assert (spike.row, spike.loss, spike.came_back) == (30, 5.0, True)
    assert spike.level == pytest.approx(1.0, abs=0.02)
    assert spike.length in (3, 4, 5)


def test_one_hard_batch_is_none() -> None:
    assert spikes(with_losses((30, 5.0)), 20, 3, 8.0, 1.5, 10.0) == []


def test_a_single_loss_far_above_all_others_is_one() -> None:
    (spike,) = spikes(with_losses((30, 50.0)), 20, 3, 8.0, 1.5, 10.0)
    assert (spike.row, spike.loss, spike.came_back) == (30, 50.0, True)


def test_one_that_does_not_come_back() -> None:
    (spike,) = spikes(with_losses(*((place, 4.0) for place in range(30, 60))), 20, 3, 8.0, 1.5, 10.0)
    assert not spike.came_back
    assert spike.length == 30


@pytest.mark.parametrize("place", [58, 59])
def test_one_at_the_very_end(place: int) -> None:
    (spike,) = spikes(with_losses((place, 50.0)), 20, 3, 8.0, 1.5, 10.0)
    assert (spike.row, spike.loss, spike.came_back) == (place, 50.0, False)


def test_losses_of_both_signs_have_none() -> None:
    assert spikes(with_losses((25, -1.0), (30, 4.0), (31, 5.0), (32, 3.0)), 20, 3, 8.0, 1.5, 10.0) == []


@pytest.mark.parametrize("steps", [0, 1, 5, 22])
def test_short_runs(steps: int) -> None:
    assert spikes(residual_recording(steps=steps).run(), 20, 3, 8.0, 1.5, 10.0) == []
