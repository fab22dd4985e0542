"""What a network is to answer: the size of its targets, and the order of its data."""

from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.outcome import outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.targets import targets_out_of_range, unscaled_outputs, unscaled_targets, unshuffled_data
from bnprobe.diagnose.unexplained import stuck
from tests.synthetic_runs import Recording, in_detail_at, residual_recording


def regression(error: float, variance: float = 1.0, output: float = 1.0, steps: int = 60) -> Recording:
    made = residual_recording(steps=steps)
    for name, value in (("prediction_error", error), ("target_variance", variance), ("output_variance", output)):
        made.by_step[name] = np.full(steps, value)
    made.by_step["target_rms"] = np.full(steps, variance**0.5)
    return made


def labelled(classes: np.ndarray, entropy: float) -> RunAnalysis:
    made = residual_recording(steps=60)
    made.by_step |= {"target_labels": np.full(60, 32.0), "target_class": classes.astype(float), "target_entropy": np.full(60, entropy)}
    return RunAnalysis(made.run())


def test_one_class_after_another() -> None:
    assert unshuffled_data(labelled(np.arange(60) // 10, 0.0)) is not None
    assert unshuffled_data(labelled(np.arange(60) // 10, 1.5)) is None  # all classes in every batch
    assert unshuffled_data(labelled(np.arange(60) % 2, 0.0)) is None  # real and generated samples in turn
    assert unshuffled_data(labelled(np.zeros(60), 0.0)) is None  # the first of several candidates is the right one, always


def test_rows_that_are_no_neighbouring_steps_say_not_how_long_a_class_lasts() -> None:
    run = labelled(np.arange(60) // 5, 0.0).recorded
    assert unshuffled_data(RunAnalysis(in_detail_at(run, (*range(15), *range(15, 60, 5))))) is not None


def test_a_squared_error_is_compared_with_a_constant_prediction() -> None:
    assert RunAnalysis(regression(1.0).run()).is_no_better_than_a_constant
    assert not RunAnalysis(regression(0.5).run()).is_no_better_than_a_constant


@pytest.mark.parametrize(("status", "is_stuck"), [("finished", True), ("running", False), ("stopped", True)])
def test_a_loss_that_falls_may_come_below_a_constant_prediction_while_the_training_goes_on(status: str, is_stuck: bool) -> None:
    made = regression(1.05)
    made.status = status
    made.loss = np.linspace(1.8, 0.6, 60) + 0.01 * np.sin(np.arange(60.0))
    assert (stuck(RunAnalysis(made.run())) is not None) == is_stuck


@pytest.mark.parametrize(("steps", "status", "is_told"), [(60, "running", False), (60, "finished", True), (150, "running", True)])
def test_a_network_may_learn_the_mean_first_while_the_training_goes_on(steps: int, status: str, is_told: bool) -> None:
    made = regression(1.05, steps=steps)
    made.status = status
    made.loss = 1.0 + 0.8 * np.exp(-np.arange(steps) / 4.0) + 0.01 * np.sin(np.arange(steps))
    assert (stuck(RunAnalysis(made.run())) is not None) == is_told


@pytest.mark.parametrize(("steps", "status", "is_told"), [(60, "running", False), (60, "stopped", True), (150, "running", True)])
def test_a_training_that_goes_on_may_stand_at_chance_at_first(steps: int, status: str, is_told: bool) -> None:
    made = residual_recording(steps=steps)
    made.status = status
    made.loss = np.log(10) + 0.002 * np.sin(np.arange(steps))
    assert (stuck(RunAnalysis(made.run())) is not None) == is_told


def test_targets_of_thousands() -> None:
    assert unscaled_targets(RunAnalysis(regression(1e6, 1e6).run())) is not None
    assert unscaled_targets(RunAnalysis(regression(1e3, 1e6).run())) is None  # learned all the same
    assert unscaled_targets(RunAnalysis(regression(1.0).run())) is None


def test_outputs_that_start_wide() -> None:
    assert unscaled_outputs(RunAnalysis(regression(30.0, 1.0, 64.0).run())) is not None
    assert unscaled_outputs(RunAnalysis(regression(0.1, 1.0, 64.0).run())) is None
    assert unscaled_outputs(RunAnalysis(regression(1.0, 1.0, 1.0).run())) is None


def test_targets_of_a_binary_cross_entropy() -> None:
    made = residual_recording(steps=20)
    made.by_step |= {"target_smallest": np.zeros(20), "target_largest": np.ones(20)}
    assert targets_out_of_range(RunAnalysis(made.run())) is None
    made.by_step["target_largest"] = np.full(20, 255.0)
    found = targets_out_of_range(RunAnalysis(made.run()))
    assert found is not None and "0 to 255" in found.cause


def bounded(away: float, error: float = 0.5, variance: float = 1.0) -> Recording:
    """Targets from -2 to 2 behind a ReLU, of which a squared error remains."""
    made = regression(error, variance)
    for name, value in (
        ("unreachable_error", away),
        ("error_target_smallest", -2.0),
        ("error_target_largest", 2.0),
        ("output_floor", 0.0),
        ("output_ceiling", np.inf),
    ):
        made.by_step[name] = np.full(60, value)
    return made


@pytest.mark.parametrize(("away", "error", "severity"), [(0.45, 0.5, "error"), (0.1, 0.5, "warning"), (0.01, 0.5, None), (0.0, 0.5, None)])
def test_targets_beyond_what_the_last_activation_gives(away: float, error: float, severity: str | None) -> None:
    found = targets_out_of_range(RunAnalysis(bounded(away, error).run()))
    assert (found and found.severity) == severity
    assert found is None or "nothing below 0" in found.cause


def guessing(share: float, slope: float = 0.0, weighed: float = 0.0) -> RunAnalysis:
    made = residual_recording(steps=60)
    made.loss = 0.4 * np.exp(-np.arange(60.0) / 5) + 0.33 + slope * np.linspace(1, 0, 60) + 0.004 * np.sin(np.arange(60.0))
    made.by_step |= {"cross_entropy": 0.33 * share + slope * np.linspace(1, 0, 60), "constant_cross_entropy": np.full(60, 0.33)}
    made.loss *= 1 + weighed * np.cos(2 * np.arange(60.0))
    return RunAnalysis(made.run())


def test_a_classifier_is_compared_with_guessing_by_the_shares_of_its_labels() -> None:
    run = guessing(1.0)
    assert run.is_no_better_than_guessing
    assert outcome(run).word == "learns-poorly"
    assert "guessing by the shares of the labels (0.33)" in outcome(run).reason
    found = stuck(run)
    assert found is not None and "Print a few inputs with their labels" in found.fix
    assert not guessing(0.9).is_no_better_than_guessing
    assert not guessing(1.0, slope=0.4).is_no_better_than_guessing  # it falls
    assert not guessing(1.0, weighed=0.3).is_no_better_than_guessing  # another loss: weights by sample, or another term


def test_a_loss_that_keeps_most_of_its_start_may_still_be_far_below_guessing() -> None:
    made = residual_recording(steps=60)
    made.loss = np.linspace(3.3, 2.4, 60) + 0.01 * np.sin(np.arange(60.0))
    made.by_step |= {"cross_entropy": np.full(60, 2.4), "constant_cross_entropy": np.full(60, 2.85)}
    assert outcome(RunAnalysis(made.run())).word == "learns"
    made.by_step["constant_cross_entropy"][:] = 2.5
    assert outcome(RunAnalysis(made.run())).word == "learns-poorly"


@pytest.mark.parametrize(("late", "is_told"), [(1.0, True), (0.1, True), (0.005, False)])
def test_wide_logits_that_were_unlearned_and_then_all_was_learned(late: float, is_told: bool) -> None:
    made = residual_recording(steps=100)
    made.loss = late + 30.0 * np.exp(-np.arange(100) / 5.0)
    made.by_step["target_entropy"] = np.full(100, 2.0)
    made.activation.rms[:, -1] = 10.0
    made.activation.kappa[:, -1] = 0.1
    assert (unscaled_outputs(RunAnalysis(made.run())) is not None) == is_told


def test_wide_logits_that_are_one_answer_by_now() -> None:
    made = residual_recording(steps=100)
    made.loss = 2.0 + 30.0 * np.exp(-np.arange(100) / 15.0)
    made.by_step["target_entropy"] = np.full(100, 2.0)
    made.activation.rms[:, -1] = 10.0
    made.activation.kappa[:, -1] = 0.1
    run = RunAnalysis(made.run())
    assert unscaled_outputs(run) is not None
    assert not run.gives_one_answer
    made.activation.kappa[20:, -1] = 1 - 1e-6
    run = RunAnalysis(made.run())
    assert run.course is not None
    assert run.course.is_falling
    assert run.gives_one_answer
    assert not run.output_has_collapsed
    assert unscaled_outputs(run) is None
