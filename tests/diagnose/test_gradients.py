from __future__ import annotations

from pathlib import Path

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.gradients import exploding_gradients, vanishing_gradients
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import read_run
from tests.synthetic_runs import Recording, residual_recording, vanishing


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


class TestVanishingGradients:
    def test_says_how_fast_and_what_it_does_to_the_first_layers(self, tmp_path: Path) -> None:
        found = vanishing_gradients(RunAnalysis(read_run(vanishing(tmp_path / "run.h5"))))
        assert found is not None
        assert found.layers == ("conv1", "stage3.block3.conv2")
        assert "shrinks 0.501 decades a convolution layer" in found.cause
        assert found.severity == "error"

    def test_even_updates_make_it_harmless(self) -> None:
        made = residual_recording(steps=30)
        fall = np.arange(len(made.layers)) - len(made.layers)
        made.gradient.rms *= 10 ** (0.08 * fall)
        assert vanishing_gradients(case(made)) is None  # as Adam's are, whatever the gradient's size
        made.gradient.rms *= 10 ** (0.17 * fall)
        assert vanishing_gradients(case(made)) is not None  # beyond what any healthy network has

    def test_where_nothing_moves_only_a_fall_that_no_rate_makes_up_for_is_told(self) -> None:
        made = residual_recording(steps=40)
        made.loss = np.log(10) + 0.005 * np.random.default_rng(5).standard_normal(40)
        made.update_norm[:] = 1e-7 * made.weight_norm
        fall = np.arange(len(made.layers)) - len(made.layers)
        made.gradient.rms *= 10 ** (0.08 * fall)
        assert vanishing_gradients(case(made)) is None
        made.gradient.rms *= 10 ** (0.17 * fall)
        found = vanishing_gradients(case(made))
        assert found is not None
        assert found.evidence[0].threshold == thresholds.VANISHED_OUTRIGHT_DECADES

    def test_a_small_gradient_everywhere_is_none(self) -> None:
        made = residual_recording(steps=30)
        made.gradient.rms *= 1e-9
        assert vanishing_gradients(case(made)) is None

    def test_in_a_run_that_trains_it_is_a_warning(self) -> None:
        made = residual_recording(steps=30)
        depth = np.arange(len(made.layers))
        made.gradient.rms *= 10 ** (0.25 * (depth - depth[-1]))
        made.update_norm *= 10 ** (-0.3 * np.arange(len(made.parameters))[::-1])
        found = vanishing_gradients(case(made))
        assert found is not None
        assert found.severity == "warning"
        made.loss = np.geomspace(1.0, 1e-5, 30)  # what there was to learn is learned
        assert vanishing_gradients(case(made)) is None


class TestExplodingGradients:
    def test_along_depth_before_the_first_update(self) -> None:
        made = residual_recording(steps=20)
        made.gradient.rms *= 10 ** (0.1 * (len(made.layers) - np.arange(len(made.layers))))
        made.loss[10:] = np.inf
        found = exploding_gradients(case(made))
        assert found is not None
        assert found.step == 0
        assert "already at the first step" in found.cause

    def test_in_one_step_out_of_a_calm_run(self) -> None:
        made = residual_recording(steps=20)
        made.gradient_norm[12, 5] = 1e4
        made.update_norm[12, 5] = 1e3
        made.loss[13:] = 1e6
        found = exploding_gradients(case(made))
        assert found is not None
        assert (found.step, found.layers) == (12, (made.parameters[5]["parameter_layer"],))

    def test_after_large_updates_it_is_the_rate(self) -> None:
        made = residual_recording(steps=20)
        made.update_norm[9:12] = made.weight_norm[9:12]
        made.gradient_norm[12:] *= 1e4
        made.loss[13:] = 1e6
        assert exploding_gradients(case(made)) is None

    def test_after_the_activations_it_is_theirs(self) -> None:
        made = residual_recording(steps=20)
        made.activation.rms[11:] *= 10.0 ** np.arange(1, 10)[:, None]
        made.gradient_norm[12:] *= 1e4
        made.loss[13:] = 1e6
        assert exploding_gradients(case(made)) is None

    def test_a_leap_that_a_run_survives_is_none(self) -> None:
        made = residual_recording(steps=20)
        made.gradient_norm[12] *= 1e4
        assert exploding_gradients(case(made)) is None


def test_where_nothing_moves_at_all_no_gradient_vanished() -> None:
    made = residual_recording(steps=40)
    made.loss = np.log(10) + 0.005 * np.random.default_rng(5).standard_normal(40)
    made.gradient.rms *= 10 ** np.linspace(-3.5, 0, len(made.layers))
    assert vanishing_gradients(case(made)) is not None
    made.update_norm[:] = 1e-6 * made.weight_norm
    assert vanishing_gradients(case(made)) is None


class TestThroughTime:
    def called_often(self, decades: float, power: float = 1.0) -> Recording:
        """The convolutions are calls of one module, whose gradient grows by so many decades from the last to the first."""
        made = residual_recording(steps=40)
        calls = [layer for layer in made.layers if layer["layer_kind"] == "convolution"]
        for call, layer in enumerate(calls):
            index = made.layers.index(layer)
            made.gradient.rms[:, index] = 1e-3 * 10 ** (decades * (1 - (call / (len(calls) - 1)) ** power))
            layer.update(layer="cell" if not call else f"cell:{call + 1}", layer_call=call, layer_kind="recurrent")
        return made

    def test_many_calls_of_one_module(self) -> None:
        found = exploding_gradients(case(self.called_often(3.0)))
        assert found is not None
        assert (found.layers, found.step) == (("cell",), 0)
        assert exploding_gradients(case(self.called_often(0.5))) is None

    def test_less_counts_where_nothing_normalises_the_calls(self) -> None:
        made = self.called_often(1.2)
        assert exploding_gradients(case(made)) is not None
        for layer in made.layers:
            if layer["layer_kind"] == "activation":
                layer["layer_kind"] = "normalisation"
        assert exploding_gradients(case(made)) is None

    def test_a_sum_over_calls_does_not_compound(self) -> None:
        assert exploding_gradients(case(self.called_often(1.2, power=8.0))) is None

    def test_a_fall_counts_where_the_run_underperforms(self) -> None:
        made = self.called_often(-3.0)
        assert vanishing_gradients(case(made)) is None
        made.loss[:] = np.log(10) + 1e-3 * np.random.default_rng(0).standard_normal(40)
        found = vanishing_gradients(case(made))
        assert found is not None
        assert (found.layers, found.severity) == (("cell",), "error")

    def test_a_recurrent_layer_against_the_one_behind_it(self) -> None:
        made = residual_recording(steps=40)
        made.layers[0]["layer_kind"] = "recurrent"
        assert exploding_gradients(case(made)) is None
        made.gradient_norm[:, 0] = 1e3 * made.gradient_norm[:, -1]
        found = exploding_gradients(case(made))
        assert found is not None
        assert found.layers == ("conv1",)

    def test_a_decoder_is_held_against_its_own_last_layer(self) -> None:
        """Not against its encoder's, which the profile is made of: that one is in front of it."""
        made = residual_recording(steps=40)
        for layer in made.layers[-4:]:
            layer["layer_model"] = 1
        made.layers[-4]["layer_kind"] = "recurrent"
        owners = [parameter["parameter_layer"] for parameter in made.parameters]
        decoder = [owners.index(layer["layer"]) for layer in made.layers[-4:] if layer["layer"] in owners]
        assert len(decoder) > 1
        made.gradient_norm[:, decoder] *= 1e3
        assert exploding_gradients(case(made)) is None
        made.gradient_norm[:, decoder[0]] *= 1e3
        found = exploding_gradients(case(made))
        assert found is not None
        assert found.layers == (made.layers[-4]["layer"],)
