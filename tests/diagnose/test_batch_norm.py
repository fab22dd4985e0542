from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.diagnose.batch_norm import (
    batch_norm_reused,
    batch_norm_small_batch,
    batch_norm_train_eval_gap,
    between_calls,
    measured_norms,
)
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Run
from tests.suites import shortened
from tests.synthetic_runs import Recording, residual_recording

Findings = Callable[..., list[Finding]]


@pytest.mark.parametrize("kind", shortened(["batch-norm", "two-batch-norms"], 1))
@pytest.mark.parametrize("every", shortened([1, 5], 1))
def test_sound_batch_norms(findings: Findings, kind: str, every: int) -> None:
    assert [one.id for one in findings(kind, every=every)] == ["healthy"]


@pytest.mark.parametrize(
    ("kind", "layer"),
    [("batch-norm-small-batch", "1"), ("batch-norm-train-eval-gap", "1"), ("batch-norm-reused", "norm")],
)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.slow
def test_trainings(findings: Findings, kind: str, layer: str, seed: int, every: int) -> None:
    (first, *_) = findings(kind, seed, every=every)
    assert first.id == kind
    assert first.layers[0] == layer


def with_gap(gap: float, values: float = 128.0, samples: float = 128.0, steps: int = 60) -> Recording:
    made = residual_recording(steps=steps, norm=True)
    norms = np.array([layer["layer_kind"] == "normalisation" for layer in made.layers])
    made.by_step["batch_norm_gap"] = np.where(norms, gap, np.nan) * np.ones((steps, 1))
    made.by_step["batch_norm_values"] = np.where(norms, values, np.nan) * np.ones((steps, 1))
    made.by_step["batch_size"] = np.full(steps, samples)
    for layer in made.layers:
        layer["layer_repeat"] = 0
    return made


def test_data_of_an_evaluation_that_were_prepared_otherwise(findings: Findings) -> None:
    (first, *_) = findings("other-data", every=5)
    assert (first.id, first.layers) == ("batch-norm-train-eval-gap", ("1",))
    assert "the evaluation's data differ from the training's" in first.cause
    assert [one.id for one in findings("same-data")] == ["healthy"]


def test_views_that_differ_by_batch_are_no_lag(findings: Findings, recorded: Callable[..., Run]) -> None:
    gaps = recorded("shifted-views")["batch_norm_gap"]
    assert np.nanmedian(gaps[-15:]) > 0.4  # as wide as statistics that lag behind
    assert "batch-norm-train-eval-gap" not in [one.id for one in findings("shifted-views")]
    assert "batch-norm-train-eval-gap" in [one.id for one in findings("shifted-views-gap", every=1)]


def _received(run: Run) -> list[slice]:
    """The channels of what the batch norm of two views received, one slice a call."""
    layers = [index for index, layer in enumerate(run.layers) if layer.name.startswith("body.0") and layer.role == "output"]
    assert len(layers) == 2
    return [run.channel_slice(layer) for layer in layers]


def test_a_channel_that_does_not_vary_tells_nothing_of_views(recorded: Callable[..., Run]) -> None:
    run = recorded("shifted-views")
    variance = run["channel_variance"].copy()
    for channels in _received(run):
        variance[:, channels.start] = 0.0
    found = diagnose(replace(run, variables=run.variables | {"channel_variance": variance}))
    assert "batch-norm-train-eval-gap" not in [one.id for one in found if not one.is_candidate]


def test_views_that_no_longer_differ_excuse_no_gap(recorded: Callable[..., Run]) -> None:
    run = recorded("shifted-views")
    mean, (first, second) = run["channel_mean"].copy(), _received(run)
    late = run["snapshot"] >= 30
    mean[np.ix_(late, np.r_[second])] = mean[np.ix_(late, np.r_[first])]
    found = diagnose(replace(run, variables=run.variables | {"channel_mean": mean}))
    assert "batch-norm-train-eval-gap" in [one.id for one in found if not one.is_candidate]


def test_of_a_gap_as_much_is_allowed_for_as_views_differ(recorded: Callable[..., Run]) -> None:
    """A gap of half a deviation more than the views are from each other is told; one of a tenth more is not."""
    run = recorded("shifted-views")
    analysis = RunAnalysis(run)
    (layer,) = (i for i in measured_norms(analysis) if run["layer_repeat"][i] == 0)
    between = between_calls(analysis, int(layer))
    for more, is_told in ((0.5, True), (0.1, False)):
        gap = np.where(np.isfinite(run["batch_norm_gap"]), between + more, np.nan)
        found = batch_norm_train_eval_gap(RunAnalysis(replace(run, variables=run.variables | {"batch_norm_gap": gap})))
        assert (found is not None) == is_told


def test_a_call_is_compared_with_the_one_nearest_to_it(recorded: Callable[..., Run]) -> None:
    analysis = RunAnalysis(recorded("three-views"))
    (layer,) = (i for i in measured_norms(analysis) if analysis.recorded.layer_repeat[i] == 0)
    assert between_calls(analysis, int(layer)) < 0.01


def test_what_an_evaluation_met_is_told_with_both_its_reasons(recorded: Callable[..., Run]) -> None:
    """That weights are kept is no evidence that their running statistics went elsewhere."""
    run = recorded("other-data", every=5)
    kept = np.full_like(run["frozen_elements"], 64)
    found = batch_norm_train_eval_gap(RunAnalysis(replace(run, variables=run.variables | {"frozen_elements": kept})))
    assert found is not None
    assert found.cause.index("the evaluation's data differ") < found.cause.index("its weights are kept")
    assert "`eval()`" in found.fix


def test_running_statistics_that_lag_behind_are_no_other_data() -> None:
    made = with_gap(0.38)
    met = np.where(np.isfinite(made.by_step["batch_norm_gap"]), 0.74, np.nan)
    made.by_step["batch_norm_evaluation_gap"], made.by_step["evaluation_batch_size"] = met, np.full(60, 128.0)
    assert batch_norm_train_eval_gap(RunAnalysis(made.run())) is None
    met *= 2
    assert batch_norm_train_eval_gap(RunAnalysis(made.run())) is not None


def test_chance_is_allowed_for() -> None:
    """8 samples make a gap of sqrt(1.5 / 8) = 0.43 by themselves."""
    assert batch_norm_train_eval_gap(RunAnalysis(with_gap(0.7, 800, 8).run())) is None
    assert batch_norm_train_eval_gap(RunAnalysis(with_gap(0.7, 800, 64).run())) is not None


def test_a_gap_that_closes_is_the_start_of_every_run() -> None:
    made = with_gap(0.9)
    made.by_step["batch_norm_gap"][30:] *= 0.2
    assert batch_norm_train_eval_gap(RunAnalysis(made.run())) is None


@pytest.mark.parametrize(("status", "found"), [("running", False), ("stopped", True), ("finished", True)])
def test_a_gap_that_still_closes_is_told_of_a_training_that_has_ended(status: str, found: bool) -> None:
    made = with_gap(0.9)
    made.status = status
    steps = len(made.by_step["batch_norm_gap"])
    made.by_step["batch_norm_gap"] *= 0.95 ** (np.arange(steps) - steps)[:, None]
    assert (batch_norm_train_eval_gap(RunAnalysis(made.run())) is not None) == found


@pytest.mark.parametrize("kept", [1.0, 0.99])
def test_a_gap_that_stays_is_told_while_the_training_goes_on(kept: float) -> None:
    """One of a momentum of 0.01 closes, too, and far too slowly."""
    made = with_gap(0.9)
    made.status = "running"
    steps = len(made.by_step["batch_norm_gap"])
    made.by_step["batch_norm_gap"] *= kept ** (np.arange(steps) - steps)[:, None]
    assert batch_norm_train_eval_gap(RunAnalysis(made.run())) is not None


@pytest.mark.parametrize(("status", "is_told"), [("running", False), ("stopped", True)])
def test_statistics_that_had_no_time_to_settle_are_not_judged_while_the_training_goes_on(status: str, is_told: bool) -> None:
    made = with_gap(0.9, steps=20)
    made.status = status
    assert (batch_norm_train_eval_gap(RunAnalysis(made.run())) is not None) == is_told


def test_the_norm_that_is_named_is_one_whose_gap_stays() -> None:
    made = with_gap(0.9)
    made.status = "running"
    gap = made.by_step["batch_norm_gap"]
    last = np.flatnonzero(np.isfinite(gap).any(axis=0))[-1]
    gap[:, last] *= 3.0 * 0.9 ** (np.arange(len(gap)) - len(gap))
    found = batch_norm_train_eval_gap(RunAnalysis(made.run()))
    assert found is not None
    assert made.layers[last]["layer"] not in found.layers


@pytest.mark.parametrize(
    ("gap", "values", "samples", "found"),
    [(0.8, 4, 4, True), (0.4, 256, 4, True), (0.1, 4096, 4, False), (0.1, 4096, 2, False), (0.4, 4096, 2, True), (0.35, 256, 32, False)],
)
def test_few_values_or_few_samples(gap: float, values: float, samples: float, found: bool) -> None:
    assert (batch_norm_small_batch(RunAnalysis(with_gap(gap, values, samples).run())) is not None) == found


def test_two_forwards_of_a_model_reuse_nothing() -> None:
    made = with_gap(0.9)
    norm = next(layer for layer in made.layers if layer["layer_kind"] == "normalisation")
    again = dict(norm, layer=f"{norm['layer']}:2", layer_call=1)
    place = next(layer for layer in made.layers if layer["layer_kind"] == "pooling")
    place.update(again, channels=place["channels"])
    made.by_step["batch_norm_gap"][:, -2] = 0.9
    assert batch_norm_reused(RunAnalysis(made.run())) is None
    place["layer_repeat"] = 1
    found = batch_norm_reused(RunAnalysis(made.run()))
    assert found is not None
    assert found.layers == (norm["layer"],)
