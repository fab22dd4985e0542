from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.data import unscaled_input
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import Recording, residual_recording


def with_input(size: float, lost: bool = True, kind: str = "convolution", role: str = "input") -> Recording:
    made = residual_recording(steps=30)
    made.layers[0] |= {"layer": "conv1:input", "layer_role": role, "layer_kind": kind}
    made.activation.rms[:, 0] = size
    if lost:
        made.loss[5:] = np.nan
    return made


def stand(made: Recording) -> None:
    made.loss[:] = np.log(10) + 1e-3 * np.random.default_rng(0).standard_normal(made.steps)


def add_bias(made: Recording, layer: str) -> None:
    made.parameters.append({"parameter": f"{layer}.bias", "parameter_layer": layer, "parameter_shape": "16", "parameter_size": 16})
    for name in ("gradient_norm", "weight_norm", "update_norm"):
        values = getattr(made, name)
        setattr(made, name, np.concatenate([values, values[:, :1]], axis=1))


def found(made: Recording) -> bool:
    return unscaled_input(RunAnalysis(made.run())) is not None


@pytest.mark.parametrize("role", ["input", "output"])
def test_pixels_from_0_to_255(role: str) -> None:
    made = with_input(130.0, role=role, kind="convolution" if role == "input" else "other")  # or reshaped by a Flatten
    assert found(made)


@pytest.mark.parametrize(
    "made",
    [
        with_input(1.0),
        with_input(20.0),
        with_input(130.0, kind="normalisation"),
        with_input(130.0, role="output"),
    ],
    ids=["standardised", "large", "normalised-first", "a-layer's-output"],
)
def test_none(made: Recording) -> None:
    assert not found(made)


def test_data_that_is_joined_to_signals_of_modules() -> None:
    made = with_input(1.0, lost=False)
    made.layers[5] |= {"layer": "mix:input", "layer_role": "input", "layer_made_by": "cat"}
    made.activation.rms[:, 5] = 1e6
    finding = unscaled_input(RunAnalysis(made.run()))
    assert finding is not None
    assert finding.layers == ("mix:input",)
    made.layers[5]["layer_made_by"] = "relu"
    assert not found(made)


def test_small_signals_that_are_joined_hide_no_unscaled_input() -> None:
    made = with_input(130.0)
    made.layers[5] |= {"layer": "mix:input", "layer_role": "input", "layer_made_by": "cat"}
    made.activation.rms[:, 1:5], made.activation.rms[:, 5] = 0.1, 2.0
    assert found(made)


def test_in_a_run_that_trains_it_is_a_warning() -> None:
    finding = unscaled_input(RunAnalysis(with_input(130.0, lost=False).run()))
    assert finding is not None
    assert finding.severity == "warning"


def test_one_batch_that_is_not_like_the_others() -> None:
    made = with_input(1.0, lost=False)
    made.activation.rms[20, 0] = 1e6
    made.activation.rms[20, 1:] *= 1e5
    made.loss[20:] = 1e5
    finding = unscaled_input(RunAnalysis(made.run()))
    assert finding is not None
    assert (finding.step, finding.layers) == (20, ("conv1:input",))
    assert "The batch of step 20 is not like those before it" in finding.cause
    assert diagnose(made.run())[0].id == "unscaled-input"


def test_an_input_that_follows_the_layers_out_of_their_course_is_none() -> None:
    made = with_input(1.0, lost=False)
    made.activation.rms[19:, 1:] *= 1e5  # a generator's output, for example, is another network's input
    made.activation.rms[20, 0] = 1e6
    made.loss[20:] = 1e5
    assert unscaled_input(RunAnalysis(made.run())) is None


def test_what_the_first_weights_receive_counts_where_it_was_measured_apart() -> None:
    made = with_input(20_000.0, role="output", kind="other")
    made.layers[0]["layer"] = "sum"  # over time, scaled before it is used
    assert found(made)
    made.layers[1] |= {"layer": "conv1:input", "layer_role": "input", "layer_kind": "convolution"}
    assert not found(made)
    made.activation.rms[:, 1] = 130.0
    assert found(made)


def test_what_the_head_receives_from_layers_of_the_scripts_own_is_no_input() -> None:
    made = with_input(1.0, role="input", kind="other")
    made.layers[1] |= {"layer": "conv1", "layer_kind": "other"}
    made.layers[2] |= {"layer": "head:input", "layer_role": "input", "layer_kind": "linear", "layer_made_by": "relu"}
    made.activation.rms[:, 2] = 130.0
    assert not found(made)


def test_a_second_input_of_the_model_counts_as_well() -> None:
    made = with_input(1.0, lost=False)
    made.layers[6] |= {"layer": "condition:input", "layer_role": "input", "layer_kind": "linear"}
    made.activation.rms[:, 6] = 130.0
    (finding,) = [one for one in diagnose(made.run()) if one.id == "unscaled-input"]
    assert finding.layers == ("condition:input",)
    made.layers[6]["layer_made_by"] = "add"
    assert not found(made)


def test_an_input_far_too_small_counts_where_nothing_is_learned() -> None:
    made = with_input(0.003, lost=False)
    assert not found(made)  # it learns all the same
    stand(made)
    assert not found(made)  # the first layer has no bias beside which it is small
    add_bias(made, "stage1.block1.conv1")
    finding = unscaled_input(RunAnalysis(made.run()))
    assert finding is not None
    assert (finding.severity, finding.layers) == ("error", ("conv1:input",))
    assert "its values lie from -0.012 to 0.012" in finding.cause
    made.layers[3] |= {"layer_kind": "normalisation"}  # which gives it the size of any
    assert not found(made)
    made.layers[3] |= {"layer_kind": "activation"}
    made.layers[0]["layer_made_by"] = "mul"  # the network made it so itself
    assert not found(made)
    made.layers[0]["layer_made_by"] = ""
    made.activation.rms[:, 0] = 0.1
    assert not found(made)


def test_an_input_that_grows_from_epoch_to_epoch() -> None:
    made = with_input(1.0, lost=False)
    stand(made)
    made.activation.rms[:, 0] = 3.0 ** (np.arange(made.steps) // 10)
    assert not found(made)  # nine times is less than a decade
    made.activation.rms[:, 0] = 4.0 ** (np.arange(made.steps) // 10)
    finding = unscaled_input(RunAnalysis(made.run()))
    assert finding is not None
    assert (finding.step, finding.layers) == (10, ("conv1:input",))
    assert "in the end 16 times" in finding.cause
    made.activation.rms[-1, 0] = 1.0  # not for good
    assert not found(made)
    made.activation.rms[-1, 0] = made.activation.rms[-2, 0]
    made.layers[-1]["layer_model"] = 1  # it may be what another network gives out
    assert not found(made)


@pytest.mark.parametrize(("pace", "is_named"), [(10, True), (1, False)], ids=["once in ten steps", "at every step"])
def test_an_input_that_grows_by_stairs_is_changed_by_nothing_that_was_trained_before(pace: int, is_named: bool) -> None:
    made = with_input(1.0, lost=False)
    stand(made)
    made.activation.rms[:, 0] = 10 ** (0.9 * (np.arange(made.steps) // 10 if pace > 1 else np.arange(made.steps) / 10))
    made.activation.rms[:, 1:] *= 10 ** np.clip((np.arange(made.steps)[:, None] - 5) * 0.4, 0, 4)  # as fast as layers learn, and before it
    assert (unscaled_input(RunAnalysis(made.run())) is not None) is is_named


def test_an_input_of_which_the_first_steps_hold_no_size_has_not_grown() -> None:
    made = with_input(1.0, lost=False)
    stand(made)
    made.activation.rms[:12, 0] = np.nan
    assert not found(made)


@pytest.mark.parametrize("pace", [0.3, 0.15])
def test_an_input_that_is_made_of_the_last_output_grows_behind_it(pace: float) -> None:
    made = with_input(1.0, lost=False)
    grown = 10 ** np.clip((np.arange(made.steps) - 8) * pace, 0, 4)
    made.activation.rms[:, 1:] *= grown[:, None]
    made.activation.rms[1:, 0] = grown[:-1]
    made.loss[:] = 2.0 * grown**2
    run = RunAnalysis(made.run())
    assert run.has_failed or run.is_stuck
    assert unscaled_input(run) is None
