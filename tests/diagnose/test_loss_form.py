"""Mistakes in the form of a loss: named where the graph always showed them, and never from a single look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding, loss_form
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import residual_recording

QUESTIONS: dict[str, Callable[[RunAnalysis], Finding | None]] = {
    "loss_pairs_all": loss_form.broadcast_loss,
    "loss_rectified": loss_form.rectified_logits,
    "loss_of_probabilities": loss_form.probabilities_for_logarithms,
    "loss_of_one_class": loss_form.one_class_softmax,
    "softmax_trivial": loss_form.one_class_softmax,
    "softmax_over_samples": loss_form.softmax_over_batch,
    "samples_mixed": loss_form.mixed_samples,
    "sequences_over_samples": loss_form.mixed_samples,
    "views_over_samples": loss_form.mixed_samples,
    "flat_second_derivatives": loss_form.flat_second_derivative,
}


def asked(variable: str, answers: list[int], loss: np.ndarray | None = None) -> RunAnalysis:
    made = residual_recording(steps=20)
    made.by_step["batch_size"] = np.full(20, 32.0)
    made.by_step[variable] = np.array(answers + [-1] * (20 - len(answers)))
    if loss is not None:
        made.loss[:] = loss
    return RunAnalysis(made.run())


@pytest.mark.parametrize("variable", QUESTIONS)
def test_it_is_named_where_it_was_so_at_every_look(variable: str) -> None:
    found = QUESTIONS[variable](asked(variable, [1, 1, 1]))
    assert found is not None
    assert found.step == 0


LEARNS, BELOW_ZERO, STUCK = np.geomspace(2.0, 0.1, 20), np.linspace(2.0, -50.0, 20), np.full(20, 2.0)


@pytest.mark.parametrize(
    ("loss", "severity"), [(LEARNS, None), (BELOW_ZERO, "error"), (STUCK, "error")], ids=["learns", "below 0", "stuck"]
)
def test_outputs_for_logarithms_are_named_where_the_loss_shows_it(loss: np.ndarray, severity: str | None) -> None:
    run = asked("loss_of_probabilities", [2, 2, 2], loss + 1e-3 * np.random.default_rng(0).standard_normal(20))
    found = QUESTIONS["loss_of_probabilities"](run)
    assert (found and found.severity) == severity
    assert found is None or "no lower bound" in found.cause


@pytest.mark.parametrize(("loss", "is_named"), [(LEARNS, False), (BELOW_ZERO, True), (STUCK, False)], ids=["learns", "below 0", "stuck"])
def test_of_outputs_behind_a_long_graph_only_a_loss_below_zero_tells(loss: np.ndarray, is_named: bool) -> None:
    found = QUESTIONS["loss_of_probabilities"](asked("loss_of_probabilities", [3, 3, 3], loss))
    assert (found is not None) is is_named


def test_probabilities_for_logarithms_are_told_from_outputs() -> None:
    found = QUESTIONS["loss_of_probabilities"](asked("loss_of_probabilities", [1, 1, 1]))
    assert found is not None
    assert "the result of a softmax" in found.cause


@pytest.mark.parametrize("variable", QUESTIONS)
@pytest.mark.parametrize("answers", [[0, 0, 0], [1, 0, 1], []], ids=["never", "once not", "not asked"])
def test_it_is_not_named_else(variable: str, answers: list[int]) -> None:
    assert QUESTIONS[variable](asked(variable, answers)) is None


def test_a_loss_that_is_cut_off_is_one_whose_weights_get_no_gradient() -> None:
    made = residual_recording(steps=20)
    made.by_step["loss_cut_off"] = np.ones(20)
    assert loss_form.detached_loss(RunAnalysis(made.run())) is None  # plain tensors, by hand
    made.gradient_norm[:] = np.nan
    found = loss_form.detached_loss(RunAnalysis(made.run()))
    assert found is not None and found.severity == "error"
