"""Trainings that follow each other in one recording are judged one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bnprobe.analyse.successive import trainings
from bnprobe.diagnose import diagnose
from bnprobe.store.reader import Run


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
    assert "training 2 of 2, steps 60 to 119" in found.outcome.reason
    assert found.verdict.severity == "info"
    assert found.analysis.recorded.steps == 120


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fault_of_the_second_training_is_seen(recorded: Callable[..., Run], seed: int) -> None:
    found = diagnose(recorded("student-of-probabilities", seed))
    assert found.verdict.id == "probabilities-for-logarithms"
    assert (found.verdict.step or 0) >= 60


def test_one_training_is_left_as_it_is(recorded: Callable[..., Run]) -> None:
    run = recorded("healthy")
    assert trainings(run) == [run]


def test_an_optimizer_made_anew_for_the_same_weights_goes_on(recorded: Callable[..., Run]) -> None:
    run = recorded("student")
    same = [parameter._replace(group=1) for parameter in run.parameters]
    assert len(trainings(replace(run, parameters=same))) == 1
