"""Trainings that follow each other in one recording are judged one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bnprobe.analyse.lines import lines
from bnprobe.analyse.stability import divergence
from bnprobe.analyse.successive import trainings
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.document import to_document
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.report import analysed
from bnprobe.report.analysed import analyse_runs
from bnprobe.report.terminal import summary
from bnprobe.report.tolerance_story import line_of
from bnprobe.report.verdict import verdict
from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES, variables_along


@pytest.mark.parametrize("seed", [0, 1])
def test_a_teacher_and_its_student_are_two(recorded: Callable[..., Run], seed: int) -> None:
    run = recorded("student", seed)
    first, second = trainings(run)
    assert first["step"].tolist() == list(range(60))
    assert second["step"].tolist() == list(range(60, 120))
    assert {parameter.name for parameter in second.parameters}.isdisjoint(parameter.name for parameter in first.parameters)
    assert np.isfinite(second["activation_rms"]).any(axis=0).all()
    assert [second.layers[layer].channels for layer in range(len(second.layers))] == np.bincount(second["channel_layer"]).tolist()
    found = diagnose(run)
    assert found.outcome.word == "learns"
    assert "in training 1 of 2, steps 0 to 59" in found.outcome.reason
    assert found.verdict.severity == "info"
    assert found.verdict.cause.startswith("In training 1 of 2, steps 0 to 59: ")
    assert any(finding.cause.startswith("In training 2 of 2, steps 60 to 119: ") for finding in found[1:])
    assert found.recorded.steps == 120


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fault_of_the_second_training_is_seen(recorded: Callable[..., Run], seed: int) -> None:
    found = diagnose(recorded("student-of-probabilities", seed))
    assert found.verdict.id == "probabilities-for-logarithms"
    assert (found.verdict.step or 0) >= 60


def test_limits_are_those_of_the_training_that_is_judged(recorded: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded("student-of-probabilities", line_probe=20)
    judged = diagnose(run).analysis.recorded
    assert {line.step for line in lines(run)} > {line.step for line in lines(judged)}
    assert min(line.step for line in lines(judged)) >= 60
    assert line_of(judged)
    monkeypatch.setattr(analysed, "stopping_rate", lambda part: part["step"].tolist())
    (page,) = analyse_runs([run])
    assert page.stopping_rate == list(range(60, 120))


def test_one_training_is_left_as_it_is(recorded: Callable[..., Run]) -> None:
    run = recorded("healthy")
    assert trainings(run) == [run]


@pytest.mark.parametrize("kind", ["unfreezing", "temperature"])
def test_a_loss_that_goes_on_is_one_training(recorded: Callable[..., Run], kind: str) -> None:
    run = recorded(kind)
    assert trainings(run) == [run]
    found = diagnose(run)
    assert (found.outcome.word, found.verdict.severity) == ("learns", "info")


def test_a_network_of_its_own_whose_loss_goes_on_is_one_training(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    loss = np.where(run["step"] < 60, run["loss"], run["loss"][59])
    altered = replace(run, variables=run.variables | {"loss": loss})
    assert trainings(altered) == [altered]


def test_a_loss_after_a_pretraining_is_another_one_and_may_stand(recorded: Callable[..., Run]) -> None:
    run = recorded("pretraining")
    loss = np.where(run["step"] < 60, 1e-6 * run["loss"], run["loss"])
    altered = replace(run, variables=run.variables | {"loss": loss})
    first, second = trainings(altered)
    assert divergence(altered) is not None  # as if it were one
    assert RunAnalysis(second).loss_may_stand
    assert not RunAnalysis(first).loss_may_stand
    assert "error" not in [finding.severity for finding in diagnose(altered)]
    assert len(trainings(replace(run, variables=run.variables | {"loss": np.full(120, 1.0)}))) == 1


def test_page_and_document_speak_of_the_same_training(recorded: Callable[..., Run]) -> None:
    run = recorded("codes-then-classes")
    assert divergence(run) is not None  # as if it were one
    assert len(trainings(run)) == 2
    (analysed,) = analyse_runs([run])
    document = to_document(analysed.diagnosis)
    page = verdict(analysed)
    assert document["outcome"]["word"] == analysed.diagnosis.outcome.word != "diverged"
    assert page.headline.startswith(analysed.diagnosis.outcome.headline)
    assert "diverged" not in page.when
    assert "diverged" not in summary(run)
    assert {field.diverged for field in analysed.fields.values()} == {120}
    assert analysed.run.steps == document["run"]["steps"] == 120


def test_what_the_page_marks_is_at_its_place_in_the_recording(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    signals = {name: run[name].copy() for name in ("loss", "activation_rms", "activation_nonfinite")}
    broken = next(index for index, layer in enumerate(run.layers) if np.isfinite(run["activation_rms"][90, index]))
    signals["loss"][90:] = np.nan
    signals["activation_rms"][90:, broken], signals["activation_nonfinite"][90:, broken] = np.nan, 1.0
    (analysed,) = analyse_runs([replace(run, variables=run.variables | signals)])
    assert analysed.diagnosis.where == "training 2 of 2"
    assert analysed.divergence is not None and analysed.first_deviation is not None
    assert (analysed.divergence.row, analysed.divergence.step) == (90, 90)
    assert (analysed.first_deviation.row, analysed.first_deviation.layer) == (90, broken)
    assert run.layers[broken].name in verdict(analysed).where


def test_a_student_of_a_lost_teacher_is_not_to_blame(recorded: Callable[..., Run]) -> None:
    found = diagnose(recorded("student-of-lost"))
    assert found.verdict.id == "learning-rate-too-high"
    assert (found.verdict.step or 0) < 60


def test_of_two_that_fail_the_first_is_told_and_the_other_beside_it(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    loss = run["loss"].copy()
    loss[30:60] *= 1e5
    loss[90:] *= 1e5
    found = diagnose(replace(run, variables=run.variables | {"loss": loss}))
    assert found.verdict.severity == "error"
    assert found.verdict.cause.startswith("In training 1 of 2, ")
    assert any(one.cause.startswith("In training 2 of 2, ") for one in found if not one.is_candidate)


def test_a_training_of_which_nothing_can_be_told_is_not_called_healthy(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    loss = np.where(run["step"] < 60, run["loss"] - 3.0, np.linspace(9.0, 1.0, 120))
    loss[:60] = np.sin(np.arange(60)) - 3.0
    found = diagnose(replace(run, variables=run.variables | {"loss": loss}))
    assert found.verdict.id == "inconclusive"
    assert found.where == "training 1 of 2"
    assert "healthy" in [one.id for one in found]


def test_weights_that_both_train_stay_with_both(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    shared = next(index for index, parameter in enumerate(run.parameters) if parameter.group == 1)
    parameters = [one._replace(group=0) if index == shared else one for index, one in enumerate(run.parameters)]
    _, second = trainings(replace(run, parameters=parameters))
    assert run.parameters[shared].name in [parameter.name for parameter in second.parameters]
    assert {parameter.group for parameter in second.parameters} == {0}
    assert second["update_norm"].shape[1] == len(second.parameters)


def test_a_training_that_is_over_does_not_go_on(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    live = replace(run, attributes=run.attributes | {"status": "running"})
    assert [part.status for part in trainings(live)] == ["finished", "running"]


def test_one_that_has_only_begun_is_left_out(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    begun = _first_rows(replace(run, attributes=run.attributes | {"status": "running"}), 65)
    (only,) = trainings(begun)
    assert (only.steps, only.status) == (60, "finished")
    assert diagnose(begun).where == "the one training that is long enough"


def test_losses_are_counted_and_not_rows(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    rows = np.flatnonzero(np.isin(run["step"], [*range(0, 60, 6), 59, *range(60, 120, 6), 119]))
    passed = np.setdiff1d(run["step"], run["step"][rows])
    variables = {name: array[rows] if VARIABLES[name].dims[:1] == ("step",) else array for name, array in run.variables.items()}
    variables |= {one.name: np.full(len(passed), one.missing, dtype=one.dtype) for one in variables_along("passed")}
    variables |= {"passed": passed, "passed_loss": run["loss"][passed]}
    thinned = replace(run, variables=variables, lengths=run.lengths | {"step": len(rows), "passed": len(passed)})
    assert [part.trained_steps for part in trainings(thinned)] == [60, 60]


def test_points_of_line_probes_stay_with_their_probe(recorded: Callable[..., Run]) -> None:
    run = recorded("student", line_probe=20)
    _, second = trainings(run)
    owners = second["probe_point_probe"]
    assert owners.size and (owners >= 0).all() and owners.max() < len(second["probe_step"])
    of_whole = np.isin(run["probe_point_probe"], np.flatnonzero(run["probe_step"] >= 60))
    assert second["probe_step"][owners].tolist() == run["probe_step"][run["probe_point_probe"][of_whole]].tolist()


def _first_rows(run: Run, count: int) -> Run:
    variables = {name: array[:count] if VARIABLES[name].dims[:1] == ("step",) else array for name, array in run.variables.items()}
    return replace(run, variables=variables, lengths=run.lengths | {"step": count})
