from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.diagnose.arithmetic import numerical_fault
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import Recording, exploding_recording, lost_recording, residual_recording

Findings = Callable[..., list[Finding]]


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


class TestNumericalFault:
    def test_names_the_module_whose_forward_pass_gave_birth_to_it(self) -> None:
        made = lost_recording(20)
        born = made.index("stage2.block2.relu1")
        made.activation.rms[20:, born:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert (found.layers, found.step) == (("stage2.block2.relu1",), 20)
        assert "in the forward pass of stage2.block2.relu1 (ReLU) at step 20" in found.cause

    def test_names_the_last_module_before_the_loss_where_only_gradients_are_lost(self) -> None:
        made = lost_recording(20)
        made.loss[20] = 0.5  # the loss itself was finite; the weights were lost with this step
        made.activation.rms[21:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert (found.layers, found.step) == (("classifier",), 20)
        assert "backward pass, between the loss and classifier" in found.cause

    @pytest.mark.parametrize(("skipped", "updated", "is_named"), [(False, False, True), (True, False, False), (False, True, False)])
    def test_a_script_that_ends_with_the_step_that_spoilt_its_weights(self, skipped: bool, updated: bool, is_named: bool) -> None:
        made = residual_recording(steps=30)
        made.gradient.rms[29] = np.nan
        made.update_norm[29] = 1e-3 if updated else np.nan
        run = made.run()
        run["skipped"][29] = skipped
        found = numerical_fault(RunAnalysis(run))
        assert (found is not None) == is_named
        assert found is None or (found.layers == ("classifier",) and "the weights are lost with that step" in found.cause)

    def test_names_the_operation_at_which_a_gradient_became_infinite(self) -> None:
        made = lost_recording(20)
        made.loss[20] = 0.5
        made.activation.rms[21:] = np.nan
        made.attributes["nonfinite_origin"] = json.dumps({"step": 20, "kind": "gradient", "layer": "classifier", "operations": ["sqrt"]})
        found = numerical_fault(case(made))
        assert found is not None
        assert "between the loss and classifier, most likely at `sqrt`" in found.cause

    def test_a_gradient_that_came_finite_was_changed_before_the_step(self) -> None:
        made = lost_recording(20)
        made.loss[20] = 0.5
        made.gradient.rms[20] = 1.0
        made.activation.rms[21:] = np.nan
        made.attributes["nonfinite_origin"] = json.dumps({"step": 20, "kind": "gradient", "layer": "conv1", "operations": ["sqrt"]})
        found = numerical_fault(case(made))
        assert found is not None
        assert (found.layers, found.step) == (("conv1",), 20)
        assert "in the gradient of conv1, although what the backward pass brought to it was finite" in found.cause
        assert "between `backward()` and `step()`" in found.fix

    def test_what_a_layer_was_given_was_made_before_it(self) -> None:
        made = lost_recording(20)
        made.layers[0] |= {"layer": "conv1:input", "layer_role": "input", "layer_made_by": "split"}
        made.activation.rms[20:] = np.nan
        trace = {"step": 20, "kind": "operation", "layer": "conv1", "after": "classifier", "operation": "exp", "is_exact": True}
        made.attributes["nonfinite_origin"] = json.dumps(trace)
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ("classifier",)
        assert "at the operation `exp`, behind classifier" in found.cause

    def test_bad_data(self) -> None:
        made = lost_recording(20)
        made.layers[0] |= {"layer": "conv1:input", "layer_role": "input"}
        made.activation.rms[20:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ("conv1:input",)
        assert "in the input of conv1" in found.cause

    def test_a_loss_that_is_not_finite_over_finite_activations(self) -> None:
        made = residual_recording(steps=30)
        made.loss[20:] = np.inf
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ()
        assert "in the loss itself" in found.cause

    def test_layers_that_were_not_measured_are_not_named(self) -> None:
        made = lost_recording(20)
        made.observed = np.arange(30) % 9 == 0
        found = numerical_fault(case(made))
        assert found is not None
        assert found.layers == ()
        assert "not measured" in found.cause

    def test_an_instability_that_grew_is_none(self) -> None:
        assert numerical_fault(case(exploding_recording())) is None

    def test_a_loss_that_rose_before_is_none(self) -> None:
        made = lost_recording(20)
        made.loss[17:20] = [5.0, 30.0, 200.0]
        assert numerical_fault(case(made)) is None

    def test_layers_that_trained_far_from_their_start_are_calm(self) -> None:
        made = lost_recording(20)
        made.activation.rms[:] *= 10 ** (0.15 * np.arange(30))[:, None]  # three decades in twenty steps
        assert numerical_fault(case(made)) is not None

    def test_a_healthy_run_with_skipped_overflows_is_none(self) -> None:
        made = residual_recording(steps=30)
        made.gradient.rms[3] = np.nan  # a gradient scaler skips such a step; the loss goes on
        assert numerical_fault(case(made)) is None

    def test_it_explains_what_came_of_it(self) -> None:
        made = lost_recording(20)
        made.activation.rms[20:, 10:] = np.nan
        assert [finding.id for finding in diagnose(made.run())] == ["numerical-fault"]

    def test_an_overflow_of_finite_data_while_gradients_add_up(self, findings: Findings) -> None:
        """No weight moves between the four backward calls of a step: no update was too large."""
        (first, *_) = findings("accumulation-overflow")
        assert (first.id, first.step) == ("numerical-fault", 40)

    def test_a_loss_that_is_not_finite_over_finite_activations_lies_in_the_loss_or_its_targets(self) -> None:
        found = numerical_fault(case(lost_recording(20)))  # gradients are lost with it, as they must be
        assert found is not None
        assert found.layers == ()
        assert "in the loss itself or its targets" in found.cause

    def test_what_an_operation_made_is_no_data(self) -> None:
        made = lost_recording(20)
        made.layers[3] |= {"layer": "stage1.block1.conv2:input", "layer_role": "input", "layer_made_by": "sqrt"}
        made.activation.rms[20:, 3:] = np.nan
        found = numerical_fault(case(made))
        assert found is not None
        assert "in what the operation `sqrt` gives to stage1.block1.conv2" in found.cause
