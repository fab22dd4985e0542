from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.divergence import learning_rate_too_high, numerical_fault
from tests.synthetic_runs import Recording, exploding_recording, residual_recording


def case(made: Recording) -> Case:
    return Case(made.run())


def calm_until(step: int) -> Recording:
    """A healthy training that is lost from one step to the next."""
    made = residual_recording(steps=30)
    made.loss[step:] = np.nan
    made.gradient.rms[step:] = np.nan
    made.gradient_norm[step:] = np.nan
    return made


class TestNumericalFault:
    def test_names_the_module_whose_forward_pass_gave_birth_to_it(self) -> None:
        made = calm_until(20)
        born = made.index("stage2.block2.relu1")
        made.activation.rms[20:, born:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert (found.layers, found.step) == (("stage2.block2.relu1",), 20)
        assert "in the forward pass of stage2.block2.relu1 (ReLU) at step 20" in found.cause

    def test_names_the_last_module_before_the_loss_where_only_gradients_are_lost(self) -> None:
        made = calm_until(20)
        made.loss[20] = 0.5  # the loss itself was finite; the weights were lost with this step
        made.activation.rms[21:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert (found.layers, found.step) == (("classifier",), 20)
        assert "backward pass, between the loss and classifier" in found.cause

    def test_bad_data(self) -> None:
        made = calm_until(20)
        made.layers[0] |= {"layer": "conv1:input", "layer_role": "input"}
        made.activation.rms[20:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ("conv1:input",)
        assert "in the input of conv1" in found.cause

    def test_a_loss_that_is_lost_over_finite_activations(self) -> None:
        made = residual_recording(steps=30)
        made.loss[20:] = np.inf
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ()
        assert "in the loss itself" in found.cause

    def test_layers_that_were_not_measured_are_not_named(self) -> None:
        made = calm_until(20)
        made.observed = np.arange(30) % 9 == 0
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ()
        assert "not measured" in found.cause

    def test_an_instability_that_grew_is_none(self) -> None:
        assert numerical_fault(case(exploding_recording())) is None

    def test_a_loss_that_rose_before_is_none(self) -> None:
        made = calm_until(20)
        made.loss[17:20] = [5.0, 30.0, 200.0]
        assert numerical_fault(case(made)) is None

    def test_layers_that_trained_far_from_their_start_are_calm(self) -> None:
        made = calm_until(20)
        made.activation.rms[:] *= 10 ** (0.15 * np.arange(30))[:, None]  # three decades in twenty steps
        assert numerical_fault(case(made)) is not None

    def test_a_healthy_run_with_skipped_overflows_is_none(self) -> None:
        made = residual_recording(steps=30)
        made.gradient.rms[3] = np.nan  # a gradient scaler skips such a step; the loss goes on
        assert numerical_fault(case(made)) is None

    def test_it_explains_what_came_of_it(self) -> None:
        made = calm_until(20)
        made.activation.rms[20:, 10:] = np.nan
        assert [finding.id for finding in diagnose(made.run())] == ["numerical-fault"]


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
