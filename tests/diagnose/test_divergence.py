from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.case import Case
from bnprobe.diagnose.divergence import learning_rate_too_high
from tests.synthetic_runs import Recording, residual_recording


def case(made: Recording) -> Case:
    return Case(made.run())


class TestLearningRateTooHigh:
    def diverging(self) -> Recording:
        made = residual_recording(steps=12)
        made.loss[:] = 2.3 * 10.0 ** np.maximum(np.arange(12) - 5, 0)
        return made

    def test_large_updates_up_to_the_divergence(self) -> None:
        made = self.diverging()
        made.update_norm[4:, 3] = 0.5 * made.weight_norm[4:, 3]
        found = learning_rate_too_high(case(made))
        assert found is not None
        assert (found.step, found.layers) == (4, (made.parameters[3]["parameter_layer"],))
        assert "50 % of its weights' size at a learning rate of 0.1" in found.cause

    def test_a_large_update_long_before_does_not_count(self) -> None:
        made = self.diverging()
        made.update_norm[1, 3] = made.weight_norm[1, 3]
        assert learning_rate_too_high(case(made)) is None

    def test_an_update_after_the_loss_was_lost_does_not_count(self) -> None:
        made = self.diverging()
        made.update_norm[9:] = made.weight_norm[9:]
        assert learning_rate_too_high(case(made)) is None

    def test_large_updates_of_a_run_that_trains_are_nobodys_business(self) -> None:
        made = residual_recording(steps=40)
        made.update_norm[:] = 0.3 * made.weight_norm
        assert learning_rate_too_high(case(made)) is None

    @pytest.mark.parametrize("level", [np.log(10), 60.0])
    def test_a_run_that_falls_to_guessing_or_rises(self, level: float) -> None:
        made = residual_recording(steps=40)
        made.loss[10:] = level + 0.01 * np.random.default_rng(0).standard_normal(30)
        made.update_norm[3:6] = 2 * made.weight_norm[3:6]
        found = learning_rate_too_high(case(made))
        assert found is not None
        assert found.step == 3
