from __future__ import annotations

import numpy as np
import pytest

from bnprobe.analyse.decay import pull
from tests.synthetic_runs import residual_recording


def test_a_step_takes_rate_times_decay_and_momentum_gathers_it() -> None:
    made = residual_recording(steps=20)
    made.by_step["weight_decay"] = np.full((20, 1), 0.01)
    found = pull(made.run(), 3, np.arange(20))  # SGD with a rate of 0.1 and momentum 0.9
    assert found.each_step == pytest.approx(0.1 * 0.01 / (1 - 0.9), rel=1e-6)
    assert found.against_gradient == pytest.approx(float(np.median(0.01 * made.weight_norm[:, 3] / made.gradient_norm[:, 3])), rel=1e-5)
    assert not found.is_adapted


def test_a_parameter_of_no_group_is_unknown() -> None:
    made = residual_recording(steps=20)
    made.parameters[3]["parameter_group"] = -1
    assert np.isnan(pull(made.run(), 3, np.arange(20)).each_step)
