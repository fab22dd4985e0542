from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.activations import exploding_activations, mean_shift
from bnprobe.diagnose.extinction import extinguishing_layer
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import Recording, exploding_recording, residual_recording


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


def at_chance(made: Recording) -> Recording:
    made.loss = np.log(10) + 0.005 * np.random.default_rng(5).standard_normal(made.steps)
    return made


class TestExplodingActivations:
    def test_says_how_fast_where_and_to_what(self) -> None:
        found = exploding_activations(case(exploding_recording()))
        assert found is not None
        assert (found.step, found.layers[-1]) == (0, "stage3.block3.conv2")
        assert found.evidence[0].value == pytest.approx(3.6, abs=0.05)
        assert "0.2 decades a convolution layer already at the first step" in found.cause

    def test_growth_at_the_start_in_a_run_that_is_stuck(self) -> None:
        made = at_chance(residual_recording(steps=40))
        made.activation.rms *= 10 ** (0.05 * np.arange(len(made.layers)))
        assert exploding_activations(case(made)) is not None

    def test_the_same_growth_in_a_run_that_trains_is_a_warning(self) -> None:
        made = residual_recording(steps=40)
        made.activation.rms *= 10 ** (0.05 * np.arange(len(made.layers)))
        found = exploding_activations(case(made))
        assert found is not None
        assert found.severity == "warning"

    def test_a_single_layer_that_gives_outputs_their_units_is_none(self) -> None:
        made = residual_recording(steps=40)
        made.activation.rms[:, -1] *= 1e4
        assert exploding_activations(case(made)) is None

    def test_growth_that_no_module_shows(self) -> None:
        made = residual_recording(steps=40)
        made.layers[-1] |= {"layer_role": "input", "layer": "classifier:input", "layer_made_by": "relu"}
        made.activation.rms[:, -1] *= 1e4
        found = exploding_activations(case(made))
        assert found is not None
        assert found.layers == ("classifier:input",)
        made.layers[-1]["layer_model"] = 1  # another network's input
        assert exploding_activations(case(made)) is None
        made.layers[-1]["layer_model"] = 0
        made.layers[-1]["layer_made_by"] = "cat"  # what is joined to a signal may be data
        assert exploding_activations(case(made)) is None

    @pytest.mark.parametrize("level", [1e-3, 1e4])
    def test_a_level_is_none(self, level: float) -> None:
        made = at_chance(residual_recording(steps=40))
        made.activation.rms *= level
        assert exploding_activations(case(made)) is None

    def test_a_first_step_that_was_not_measured_is_done_without(self) -> None:
        made = exploding_recording()
        made.observed[:2] = False
        found = exploding_activations(case(made))
        assert found is not None
        assert found.step == 2

    def test_the_last_profile_is_read_where_it_was_still_finite(self) -> None:
        made = exploding_recording()
        made.loss[:-1] = 9.0  # only the last step, whose deep layers are not finite, tells
        found = exploding_activations(case(made))
        assert found is not None
        assert np.isfinite([one.value for one in found.evidence]).all()


class TestMeanShift:
    def shifted(self, dependent_growth: float = 0.0) -> Recording:
        """The common part grows 0.06 decades a layer from the start, the rest as given; the loss sits at chance."""
        made = at_chance(residual_recording(steps=40))
        depth = np.arange(len(made.layers))
        common, rest = 0.3 * 10 ** (0.06 * depth), 10 ** (dependent_growth * depth)
        made.activation.rms = np.tile(np.sqrt(common**2 + rest**2), (40, 1))
        made.activation.kappa = np.tile(common**2 / (common**2 + rest**2), (40, 1))
        return made

    def test_a_common_part_that_drowns_the_rest(self) -> None:
        found = mean_shift(case(self.shifted()))
        assert found is not None
        assert found.step == 0
        assert found.layers[-1] == "classifier"
        evidence = {one.what: one.value for one in found.evidence}
        assert evidence["growth of the common part along depth"] == pytest.approx(0.12, abs=0.01)  # per convolution, every second layer
        assert evidence["growth of what differs between inputs"] == pytest.approx(0.0, abs=0.01)

    def test_a_common_part_that_explodes_is_a_shift_and_no_explosion(self) -> None:
        made = self.shifted()
        depth = np.arange(len(made.layers))
        common = 0.3 * 10 ** (0.06 * depth)
        assert np.log10(common[-1] / common[0]) > 1.2
        assert exploding_activations(case(made)) is None
        assert mean_shift(case(made)) is not None

    def test_a_constant_that_drowns_every_layer(self) -> None:
        made = at_chance(residual_recording(steps=40))
        made.activation.kappa = np.full_like(made.activation.rms, 0.99)
        found = mean_shift(case(made))
        assert found is not None
        assert found.step == 0
        made.loss = np.linspace(2.3, 0.1, 40)
        assert mean_shift(case(made)) is not None
        made.activation.kappa[:] = 0.97  # as of a constant input that a sound recurrent network received
        assert mean_shift(case(made)) is None

    @pytest.mark.parametrize(("again", "is_shift"), [(0.99, True), (0.6, False)])
    def test_inputs_that_are_alike_at_one_of_several_calls_are_no_shift(self, again: float, is_shift: bool) -> None:
        made = at_chance(residual_recording(steps=40))
        made.activation.kappa = np.full_like(made.activation.rms, 0.99)
        made.layers[1] |= made.layers[0] | {"layer": "conv1:2", "layer_call": 1, "layer_depth": 1}
        made.activation.kappa[:, 1] = again
        assert (mean_shift(case(made)) is not None) is is_shift

    @pytest.mark.parametrize(("left", "is_shift"), [(1e-4, True), (1e-13, False)])
    def test_a_layer_that_gives_the_same_for_every_input_is_a_place_and_no_course(self, left: float, is_shift: bool) -> None:
        made = self.shifted()
        place = len(made.layers) // 2
        made.activation.kappa[:, place:] = 1 - left
        assert (mean_shift(case(made)) is not None) == is_shift
        run = case(made)
        assert extinguishing_layer(run, run.late_row) == (None if is_shift else place)

    def test_a_change_of_scale_ends_no_difference(self) -> None:
        made = self.shifted()
        made.activation.rms[:, : len(made.layers) // 2] *= 1e6  # a normalisation behind a large signal
        assert extinguishing_layer(case(made), 39) is None

    def test_a_constant_that_one_layer_adds_ends_no_difference(self) -> None:
        made = self.shifted()
        made.activation.rms[:, len(made.layers) // 2 :] *= 1e3
        made.activation.kappa[:, len(made.layers) // 2 :] = 1 - 1e-6
        assert extinguishing_layer(case(made), 39) is None

    def test_a_layer_whose_energy_overflowed_is_passed_over(self) -> None:
        made = self.shifted()
        place = len(made.layers) // 2
        made.activation.rms[:, 1] = np.inf
        made.activation.kappa[:, place:] = 1 - 1e-13
        assert extinguishing_layer(case(made), 39) == place

    def test_rounding_may_be_left(self) -> None:
        made = self.shifted()
        place = len(made.layers) // 2
        made.activation.rms[:, place:] = 2e-2  # a bias, as of a normalisation of single pixels
        made.activation.kappa[:, place:] = 1 - 1e-7
        assert extinguishing_layer(case(made), 39) == place

    def test_the_branch_of_a_residual_sum_may_give_nothing(self) -> None:
        made = self.shifted()
        branch, end = len(made.layers) // 2, len(made.layers) - 2
        made.activation.rms[:, branch] = 0.0  # a last module that starts at zero: the signal passes around it
        assert extinguishing_layer(case(made), 39) is None
        made.activation.rms[:, end] = 0.0  # before the last layer, whose output still differs
        assert extinguishing_layer(case(made), 39) is None
        made.activation.rms[:, branch:] = 0.0
        assert extinguishing_layer(case(made), 39) == branch

    def test_weights_of_zero_in_the_last_layer_are_its_start(self) -> None:
        made = self.shifted()
        made.activation.rms[:, -1] = 0.0
        assert extinguishing_layer(case(made), 39) is None

    def test_where_both_parts_grow_alike_nothing_shifts(self) -> None:
        assert mean_shift(case(self.shifted(dependent_growth=0.06))) is None

    def test_an_output_that_is_common_over_sound_layers_is_none(self) -> None:
        made = at_chance(residual_recording(steps=40))
        made.activation.kappa[:, -2:] = 0.999
        assert mean_shift(case(made)) is None

    def test_a_saturated_network_is_none(self) -> None:
        made = at_chance(residual_recording(steps=40))
        made.activation.kappa = np.tile(np.linspace(0.1, 0.9999, len(made.layers)), (40, 1))
        made.activation.rms[:] = 0.5
        made.activation.rms *= 10 ** (-0.02 * np.arange(len(made.layers)))
        assert mean_shift(case(made)) is None

    def test_in_the_first_steps_of_a_run_that_trains_it_is_a_warning(self) -> None:
        made = self.shifted()
        made.activation.kappa[:, 0], made.activation.kappa[:, -1] = 0.1, 0.98
        made.loss = residual_recording(steps=40).loss
        found = mean_shift(case(made))
        assert found is not None
        assert (found.severity, found.step) == ("warning", 0)
        made.activation.kappa[0] = residual_recording(steps=40).activation.kappa[0]  # not before the first update
        assert mean_shift(case(made)) is None


def test_a_growth_that_no_sound_network_has_is_told_even_while_the_loss_falls() -> None:
    made = residual_recording(steps=40)
    made.activation.rms *= 10 ** (0.06 * np.arange(len(made.layers)))
    assert exploding_activations(RunAnalysis(made.run())) is not None
    made.activation.rms /= 10 ** (0.045 * np.arange(len(made.layers)))
    assert exploding_activations(RunAnalysis(made.run())) is None


def test_of_a_single_sample_everything_is_common() -> None:
    made = residual_recording(steps=40)
    made.activation.kappa[:] = 1.0
    assert mean_shift(case(made)) is not None
    made.by_step["batch_size"] = np.ones(40)
    assert mean_shift(case(made)) is None


@pytest.mark.parametrize("parts", ["all", "but the first", "none"])
def test_a_signal_that_is_common_at_first_and_parts_in_a_run_that_learns_is_no_shift(parts: str) -> None:
    """As embeddings that are drawn tiny leave it to the biases, until they have learned."""
    made = residual_recording(steps=60)
    made.loss = np.linspace(2.3, 0.1, 60)
    made.activation.kappa[:] = 1 - 1e-7
    if parts != "none":
        made.activation.kappa[10:, (0 if parts == "all" else 3) :] = 0.6
    assert (mean_shift(RunAnalysis(made.run())) is None) == (parts == "all")
