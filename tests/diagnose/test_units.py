from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.units import dead_units, dropout_too_strong, saturated_units
from bnprobe.store.reader import Run
from tests.synthetic_runs import Recording, residual_recording


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


def dying(share: float, since: int = 10) -> Recording:
    made = residual_recording(steps=40)
    made.dead[since:, [made.index("stage2.block1.relu1"), made.index("stage3.block1.relu1")]] = share
    return made


def at_chance(made: Recording) -> Recording:
    made.loss = np.log(10) + 0.005 * np.random.default_rng(5).standard_normal(made.steps)
    return made


def test_names_the_first_layer_to_die_and_when() -> None:
    found = dead_units(case(dying(0.96)))
    assert found is not None
    assert (found.layers[0], found.step, found.severity) == ("stage2.block1.relu1", 10, "warning")
    assert "since step 10" in found.cause


def test_a_network_at_chance_without_units_has_failed() -> None:
    found = dead_units(case(at_chance(dying(1.0, since=0))))
    assert found is not None
    assert (found.severity, found.step) == ("error", 0)
    assert "from the first step on" in found.cause


@pytest.mark.parametrize(("since", "guess", "severity"), [(10, 2.3, "info"), (0, 2.3, "error"), (10, 4.0, "error")])
def test_units_that_fall_silent_where_there_is_nothing_to_learn_explain_nothing(since: int, guess: float, severity: str) -> None:
    made = at_chance(dying(1.0, since))
    made.by_step |= {"cross_entropy": np.full(40, 2.3), "constant_cross_entropy": np.full(40, guess)}
    found = dead_units(case(made))
    assert found is not None and found.severity == severity


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_run_that_trains_can_spare_units(share: float) -> None:
    assert dead_units(case(dying(share))) is None


def test_channels_that_take_turns_are_sparse_and_not_dead() -> None:
    made = dying(0.98)
    made.dead[::2] = 0.2
    assert dead_units(case(made)) is None


def test_only_activations_die() -> None:
    made = residual_recording(steps=40)
    made.dead[:, made.index("pool")] = 1.0
    assert dead_units(case(made)) is None


def test_a_branch_whose_factor_starts_at_zero_is_not_dead() -> None:
    made = residual_recording(steps=1)
    layer = made.index("stage2.block1.conv2")
    made.layers[layer] |= {"layer_kind": "other", "layer_type": "Factor"}
    made.activation.rms[:, layer], made.dead[:, layer] = 0.0, 1.0
    assert dead_units(case(made)) is None


def test_an_input_that_was_silent_from_the_start_is_a_mask() -> None:
    made = dying(0.98, since=0)
    for name in ("stage2.block1.relu1", "stage3.block1.relu1"):
        made.layers[made.index(name)] |= {"layer_role": "input", "layer_kind": "convolution"}
    assert dead_units(case(made)) is None
    made.dead[:5] = 0.0  # but one that fell silent later is the output of a functional ReLU
    assert dead_units(case(made)) is not None


@pytest.mark.parametrize(("first", "is_dropped"), [pytest.param(0.97, True, id="dropped"), pytest.param(0.5, False, id="died")])
def test_zeros_behind_units_that_were_not_seen_are_not_taken_for_dropped_ones(first: float, is_dropped: bool) -> None:
    made = residual_recording(steps=40)
    layer = made.index("stage2.block1.relu1")
    made.layers[layer] |= {"layer_kind": "dropout", "layer_type": "Dropout"}
    made.activation.zeros[:, layer] = 0.97
    made.activation.zeros[:3, layer] = first
    assert (dropout_too_strong(case(made)) is not None) is is_dropped


def test_units_killed_by_large_updates_follow_from_the_rate() -> None:
    made = at_chance(dying(1.0, since=4))
    made.update_norm[2:4] = 3 * made.weight_norm[2:4]
    findings = diagnose(made.run())
    assert [(one.id, one.follows_from) for one in findings] == [
        ("learning-rate-too-high", ()),
        ("dead-units", ("learning-rate-too-high",)),
    ]


class TestSaturated:
    @pytest.mark.parametrize("kind", ["saturated-tanh", "saturated-sigmoid"])
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("every", [1, 5])
    @pytest.mark.slow
    def test_trainings(self, findings: Callable[..., list[Finding]], kind: str, seed: int, every: int) -> None:
        (first, *_) = findings(kind, seed, every=every)
        assert (first.id, first.step, first.layers[0]) == ("saturated-units", 0, "1")

    def test_tanh_in_its_range(self, findings: Callable[..., list[Finding]]) -> None:
        assert [one.id for one in findings("tanh")] == ["healthy"]

    def test_an_output_that_paints_pixels_is_none(self) -> None:
        made = residual_recording(steps=30)
        made.layers[-1] |= {"layer_type": "Tanh", "layer_kind": "activation"}
        made.activation.rms[:5, -1], made.activation.rms[5:, -1] = 0.5, 0.99
        assert saturated_units(RunAnalysis(made.run())) is None
        made.layers[4] |= {"layer_type": "Tanh", "layer_kind": "activation"}
        made.activation.rms[:, 4] = 0.99
        assert saturated_units(RunAnalysis(made.run())) is not None

    def test_an_output_at_its_bounds_before_training_is_one(self) -> None:
        made = residual_recording(steps=30)
        made.layers[-1] |= {"layer_type": "Tanh", "layer_kind": "activation"}
        made.activation.rms[:, -1] = 0.99
        found = saturated_units(RunAnalysis(made.run()))
        assert found is not None
        assert found.step == 0

    def test_what_a_run_that_learns_brings_to_its_bounds_late_is_a_code(self) -> None:
        made = residual_recording(steps=30)
        made.layers[4] |= {"layer_type": "Tanh", "layer_kind": "activation"}
        made.activation.rms[:20, 4], made.activation.rms[20:, 4] = 0.5, 0.99
        assert saturated_units(RunAnalysis(made.run())) is None
        assert saturated_units(RunAnalysis(at_chance(made).run())) is not None

    def test_a_signal_that_is_not_finite_is_not_at_its_bounds(self) -> None:
        made = residual_recording(steps=30)
        made.layers[4] |= {"layer_type": "Tanh", "layer_kind": "activation"}
        made.activation.rms[:, 4] = np.inf
        assert saturated_units(RunAnalysis(made.run())) is None


def silenced(largest: float, gradient: float) -> Run:
    """From step 10 on the largest output of a layer, and what gradient reaches it; the loss is no better than a guess."""
    made = at_chance(residual_recording(steps=40))
    made.gradient.rms[10:, made.index("stage3.block1.conv1")] *= gradient
    run = made.run()
    run.variables["activation_max"][10:, made.index("stage3.block1.conv1")] = largest
    return run


@pytest.mark.parametrize(("largest", "gradient", "is_dead"), [(-0.1, 0.0, True), (0.1, 0.0, False), (-0.1, 1.0, False)])
def test_a_layer_below_zero_that_no_gradient_reaches_any_more(largest: float, gradient: float, is_dead: bool) -> None:
    found = dead_units(RunAnalysis(silenced(largest, gradient)))
    assert (found is not None) == is_dead
    assert found is None or (found.layers, found.step, found.severity) == (("stage3.block1.conv1",), 10, "error")


def test_a_layer_that_was_below_zero_before_it_lost_its_gradient_was_cut_off() -> None:
    run = silenced(-0.1, 0.0)
    run.variables["activation_max"][5:, [layer.name for layer in run.layers].index("stage3.block1.conv1")] = -0.1
    assert dead_units(RunAnalysis(run)) is None
