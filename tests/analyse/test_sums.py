from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.sums import sums_over_uneven_steps
from bnprobe.analyse.views import RunView
from tests.synthetic_runs import residual_recording

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(5, 60, 200)
NOISE = np.exp(0.2 * RNG.standard_normal(200))


@pytest.mark.parametrize(
    ("rows", "loss", "is_sum"),
    [
        pytest.param(LENGTHS, LENGTHS * NOISE, True, id="a sum over an episode"),
        pytest.param(LENGTHS, NOISE, False, id="a mean over it"),
        pytest.param(np.full(200, 32), NOISE, False, id="batches of one size"),
        pytest.param(
            np.where(np.arange(200) % 10 == 9, 7, 32), np.where(np.arange(200) % 10 == 9, 7, 32) * NOISE, False, id="a last batch"
        ),
        pytest.param(np.linspace(5, 60, 200), 1 / np.linspace(5, 60, 200), False, id="both drift, apart"),
        pytest.param(LENGTHS[:30], LENGTHS[:30] * NOISE[:30], False, id="too few"),
    ],
)
def test_sums_over_uneven_steps(rows: np.ndarray, loss: np.ndarray, is_sum: bool) -> None:
    made = residual_recording(steps=len(loss))
    made.loss = loss.astype(float)
    made.by_step["loss_rows"] = rows.astype(np.int32)
    assert sums_over_uneven_steps(RunView.of(made.run())) == is_sum
