"""What a program asks of a run, and whether the answers are the run's own numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse.views import RunView
from bnprobe.diagnose import diagnose
from bnprobe.errors import UsageError
from bnprobe.integrations import questions
from bnprobe.store.reader import read_run
from tests import synthetic_runs


@pytest.fixture(scope="module")
def exploding(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return RunView.of(read_run(synthetic_runs.exploding(tmp_path_factory.mktemp("runs") / "exploding.h5")))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return RunView.of(read_run(synthetic_runs.healthy(tmp_path_factory.mktemp("runs") / "healthy.h5")))


def test_a_series_has_the_numbers_of_the_file(exploding: RunView) -> None:
    layer = exploding.layers[2].name
    answer = questions.series(exploding, "activation_rms", layer, most=10_000)
    rows = np.flatnonzero(exploding.observed())
    assert answer["steps"] == exploding.step[rows].tolist()
    assert answer["units"] == "as the signal"
    np.testing.assert_array_equal(np.array(answer["values"], float), exploding["activation_rms"][rows, 2])


def test_a_spike_of_one_step_survives_the_cut(tmp_path: Path) -> None:
    recording = synthetic_runs.residual_recording(steps=3000, blocks=1)
    recording.loss[1777] = 1e9
    run = RunView.of(read_run(recording.write(tmp_path / "spike.h5")))
    answer = questions.series(run, "loss", most=60)
    assert len(answer["steps"]) <= 90
    assert answer["values"][answer["steps"].index(1777)] == 1e9


def test_numbers_that_are_not_finite_are_texts(tmp_path: Path) -> None:
    run = RunView.of(read_run(synthetic_runs.exploding(tmp_path / "run.h5")))
    for answer in (questions.overview(run), questions.findings(run), questions.series(run, "loss"), questions.comparison(run, run)):
        json.dumps(answer, allow_nan=False)


def test_a_step_between_measured_ones_gives_the_nearest(exploding: RunView) -> None:
    measured = exploding.step[exploding.observed()]
    answer = questions.at_step(exploding, "activation_rms", int(measured[-1]) + 1000)
    assert answer["step"] == measured[-1]
    assert answer["names"] == [layer.name for layer in exploding.layers]


def test_a_comparison_names_what_differs_most(exploding: RunView, healthy: RunView) -> None:
    answer = questions.comparison(healthy, exploding)
    assert [one["id"] for one in answer["verdicts"]] == [diagnose(run).verdict.id for run in (healthy, exploding)]
    apart = [abs(np.log(one / other)) for one, other in (row["activation_rms"] for row in answer["layers"])]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > 1
    assert questions.comparison(healthy, healthy)["different"] == {}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: questions.series(run, "activation_rsm", "x"), "activation_rms"),
        (lambda run: questions.series(run, "activation_rms", run.layers[0].name + "x"), "nearest"),
        (lambda run: questions.series(run, "loss", "conv1"), "one value a step"),
        (lambda run: questions.at_step(run, "loss", 3), "one value a step"),
    ],
)
def test_a_wrong_question_is_told_what_there_is(exploding: RunView, ask, words: str) -> None:
    with pytest.raises(UsageError) as told:
        ask(exploding)
    assert words in f"{told.value} {told.value.hint}"
