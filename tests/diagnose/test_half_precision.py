from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.diagnose.arithmetic import half_precision_overflow, numerical_fault
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import Recording, lost_recording, residual_recording

Findings = Callable[..., list[Finding]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("every", [1, 5])
def test_a_training_that_outgrows_float16(findings: Findings, seed: int, every: int) -> None:
    (first, *_) = findings("half-precision-overflow", seed, every=every)
    assert first.id == "half-precision-overflow"
    assert first.step is not None and 30 < first.step <= 36


def test_a_training_in_half_precision_is_none(findings: Findings) -> None:
    assert [one.id for one in findings("half-precision")] == ["healthy"]


def in_type(dtype: str, largest: float) -> Recording:
    """Calm for 20 steps; then a layer's output is not finite, and its largest finite value is `largest`."""
    made = residual_recording(steps=30)
    for layer in made.layers:
        layer["layer_dtype"] = dtype
    made.loss[20:] = np.nan
    made.activation.rms[20:, 10:] = np.nan
    peaks = np.full((30, len(made.layers)), 5.0)
    peaks[20:, 10:] = largest
    made.by_step["activation_max"], made.by_step["activation_min"] = peaks, -peaks
    return made


@pytest.mark.parametrize(
    ("dtype", "largest", "found"),
    [("float16", 6e4, "half"), ("float16", 4.0, "fault"), ("float32", 6e4, "fault"), ("bfloat16", 6e4, "fault")],
)
def test_only_what_came_near_the_end_of_float16_overflowed(dtype: str, largest: float, found: str) -> None:
    made = case(in_type(dtype, largest))
    assert (half_precision_overflow(made) is not None, numerical_fault(made) is not None) == (found == "half", found == "fault")


def test_what_was_scaled_in_float16_was_scaled_by_what_overflowed() -> None:
    made = in_type("float16", 4.0)
    made.layers[10].update(layer_role="input", layer_made_by="div")
    assert half_precision_overflow(case(made)) is not None


def test_what_overflowed_between_two_casts_came_in_as_float16() -> None:
    made = in_type("float32", 4.0)
    assert half_precision_overflow(case(made)) is None
    made.layers[9]["layer_dtype"] = "float16"
    found = half_precision_overflow(case(made))
    assert found is not None
    assert found.layers == (case(made).name(10),)


def test_what_overflowed_inside_a_module_of_the_scripts_own() -> None:
    made = in_type("float16", 4.0)
    born = next(i for i, layer in enumerate(made.layers) if not np.isfinite(made.activation.rms[20, i]))
    assert "half" not in [one.id.partition("-")[0] for one in diagnose(made.run())]
    made.layers[born] |= {"layer_kind": "other", "layer_type": "Evidence"}
    assert diagnose(made.run())[0].id == "half-precision-overflow"


def test_a_float16_signal_whose_square_is_beyond_the_end() -> None:
    made = in_type("float16", 4.0)
    born = next(i for i, layer in enumerate(made.layers) if not np.isfinite(made.activation.rms[20, i]))
    made.layers[born] |= {"layer_role": "input", "layer_made_by": "sub"}
    assert diagnose(made.run())[0].id == "numerical-fault"
    made.by_step["activation_max"][:, born - 1] = 300.0
    assert diagnose(made.run())[0].id == "half-precision-overflow"


def test_a_scaler_that_skips_most_updates() -> None:
    made = residual_recording(steps=60)
    made.by_step["skipped"] = (np.arange(60) < 10).astype(int)  # it looks for its scale
    assert half_precision_overflow(RunAnalysis(made.run())) is None
    made.by_step["skipped"] = (np.arange(60) % 2 == 0).astype(int)
    found = half_precision_overflow(RunAnalysis(made.run()))
    assert found is not None
    assert "skipped 50 % of the updates" in found.cause


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


def test_what_is_divided_to_zero_in_float16() -> None:
    made = residual_recording(steps=40)
    scaled = made.layers[-1]
    scaled.update(layer="classifier:input", layer_role="input", layer_made_by="mul", layer_dtype="float16")
    zeros = np.zeros((40, len(made.layers)))
    made.by_step["activation_zeros"] = zeros
    assert half_precision_overflow(case(made)) is None
    zeros[10:, -1] = np.linspace(0.05, 1.0, 30)
    zeros[30:, -1] = 1.0
    found = half_precision_overflow(case(made))
    assert found is not None
    assert (found.step, found.layers) == (10, ("classifier:input",))
    scaled["layer_dtype"] = "float32"
    assert half_precision_overflow(case(made)) is None
    scaled["layer_dtype"] = "float16"
    zeros[:, -1] = np.linspace(0.896, 0.904, 40)
    assert half_precision_overflow(case(made)) is None


def test_what_is_divided_by_an_infinite_number_in_float16() -> None:
    made = residual_recording(steps=30)
    for layer in made.layers:
        layer["layer_dtype"] = "float16"
    norm = made.index("stage2.block1.relu1")
    zeros = made.by_step["activation_zeros"] = np.zeros((30, len(made.layers)))
    made.activation.rms[:, norm - 1] = np.inf
    assert half_precision_overflow(case(made)) is None  # infinite scores of a mask, say
    zeros[:, norm] = 1.0
    found = half_precision_overflow(case(made))
    assert found is not None
    assert (found.layers[0], found.step) == (made.layers[norm - 1]["layer"], 0)
    made.layers[norm - 1]["layer_dtype"] = "float32"
    assert half_precision_overflow(case(made)) is None


def test_float16_that_only_the_graph_of_the_loss_shows() -> None:
    made = lost_recording(20)
    born = made.index("stage2.block2.relu1")
    made.activation.rms[20:, born:] = np.nan
    made.layers[born]["layer_kind"] = "other"
    assert diagnose(made.run())[0].id == "numerical-fault"
    made.by_step["half_results"] = np.where(np.arange(30) == 0, 3, -1)
    found = diagnose(made.run())[0]
    assert (found.id, found.layers, found.step) == ("half-precision-overflow", ("stage2.block2.relu1",), 20)


def test_bad_data_beside_a_float16_term_is_no_overflow() -> None:
    made = lost_recording(20)
    made.layers[0] |= {"layer": "conv1:input", "layer_role": "input"}
    made.activation.rms[20:] = np.nan
    made.by_step["half_results"] = np.where(np.arange(30) == 0, 3, -1)
    assert half_precision_overflow(case(made)) is None
    assert numerical_fault(case(made)) is not None


def test_a_float16_signal_half_of_which_is_zero_throughout() -> None:
    made = residual_recording(steps=40)
    made.layers[-1].update(layer="classifier:input", layer_role="input", layer_made_by="mul", layer_dtype="float16")
    made.by_step["activation_zeros"] = np.full((40, len(made.layers)), 0.49)
    assert [half_precision_overflow(case(made).relaxed(relaxation)) for relaxation in (0.0, 0.5, 1.0)] == [None] * 3


def test_no_gradient_behind_a_loss_in_float16() -> None:
    made = residual_recording(steps=30)
    made.gradient_norm[:] = 0.0
    made.loss[:] = 2.0
    assert half_precision_overflow(case(made)) is None
    made.by_step["half_results"] = np.where(np.arange(30) == 0, 3, -1)
    found = half_precision_overflow(case(made))
    assert found is not None
    assert "3 results are computed in float16" in found.cause
