from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse.what_if import RemedyAnswer, Retrained, what_if_of
from bnprobe.store.reader import read_run
from bnprobe.store.writer import RunWriter


def answer(outcomes: dict[float, str], curves: dict[float, str] | None = None) -> RemedyAnswer:
    trials = [Retrained("none", rate, rate, True, outcome, "", np.zeros(1)) for rate, outcome in outcomes.items()]
    trials += [Retrained("none", rate, rate, False, outcome, "", np.zeros(1)) for rate, outcome in (curves or {}).items()]
    return RemedyAnswer("none", sorted(trials, key=lambda one: one.rate))


@pytest.mark.parametrize(
    ("outcomes", "bracket"),
    [
        ({1.0: "trains", 5.0: "diverges", 2.2: "stuck"}, (1.0, 2.2)),
        ({1.0: "trains", 5.0: "trains"}, (5.0, None)),
        ({1.0: "stuck", 0.2: "stuck"}, (None, None)),
        ({1.0: "diverges", 0.2: "stuck"}, (None, 1.0)),
        ({0.2: "diverges", 1.0: "trains", 5.0: "diverges"}, (1.0, 5.0)),
    ],
)
def test_the_bracket(outcomes: dict[float, str], bracket: tuple[float | None, float | None]) -> None:
    found = answer(outcomes)
    assert (found.trains_at, found.fails_at) == bracket


def test_rates_that_are_not_monotone_have_several_windows() -> None:
    found = answer({1.0: "trains", 2.0: "stuck", 4.0: "diverges"}, {0.3: "stuck", 3.0: "trains"})
    assert found.windows == [(1.0, 1.0), (3.0, 3.0)]
    assert answer({1.0: "trains", 2.0: "trains", 4.0: "diverges"}, {0.3: "trains"}).windows == [(0.3, 2.0)]


def test_answers_come_back_from_the_file(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run.h5", {})
    writer.add_what_if_layer("conv")
    for factor, losses in ((1.0, [2.0, 1.0]), (5.0, [2.0, float("nan")])):
        outcome = "trains" if factor == 1.0 else "diverges"
        columns = {"what_if_remedy": "none", "what_if_factor": factor, "what_if_rate": 0.1 * factor, "what_if_grid": True}
        seen = {"what_if_point_rms": np.array([2.0]), "what_if_point_common_mode": np.array([0.5])} if factor == 1.0 else {}
        points = [{"what_if_point_loss": loss, **seen} for loss in losses]
        writer.add_what_if(points, **columns, what_if_outcome=outcome, what_if_reason="")
    writer.set_attribute("what_if_refused", json.dumps([{"what": "msr", "why": "no convolution"}]))
    for name, value in {"what_if_steps": 2, "what_if_own_rate": 0.1, "what_if_proved": 1, "what_if_seconds": 1.0}.items():
        writer.set_attribute(name, value)
    writer.close(status="finished")
    found = what_if_of(read_run(tmp_path / "run.h5"))
    assert found is not None
    document = found.document()
    assert document["remedies"]["none"]["trains_at"] == pytest.approx(0.1)
    assert document["remedies"]["none"]["fails_at"] == pytest.approx(0.5)
    assert document["remedies"]["none"]["outcome_at_own"] == "trains"
    assert document["remedies"]["none"]["trials"][1]["losses"] == [2.0, None]
    assert document["layers"] == ["conv"]
    assert document["remedies"]["none"]["trials"][0]["common_mode"] == [[0.5], [0.5]]
    assert "rms" not in document["remedies"]["none"]["trials"][1]
    assert document["refused"] == [{"what": "msr", "why": "no convolution"}]
    assert json.dumps(document, allow_nan=False)


def test_a_recording_without_it_has_none(tmp_path: Path) -> None:
    RunWriter(tmp_path / "run.h5", {}).close(status="finished")
    assert what_if_of(read_run(tmp_path / "run.h5")) is None
