"""How far the weights of a rerun move is how far those of the recorded training moved; and a rate that is too small is told by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.reader import read_run
from bnprobe.what_if.judging import Judge
from bnprobe.what_if.movement import Movement
from bnprobe.what_if.rerun import Rerun
from tests.what_if.test_rerun import STEPS, clipped, cnn, momentum, plain, tape


def test_it_is_that_of_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, clipped, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    movement = Movement(taped.program, taped.edits.parameter_names)
    Rerun(taped.program).run(watch=movement.watch)
    run = read_run(tmp_path / "run.h5")
    for variable, by_name in movement.columns.items():
        assert list(by_name) == [parameter.name for parameter in run.parameters]
        for column, recorded in zip(by_name.values(), run[variable].T, strict=True):
            both = np.isfinite(column) & np.isfinite(recorded)
            assert both.sum() >= 2
            np.testing.assert_allclose(column[both], recorded[both], rtol=1e-5)
    judge = Judge(run, 0, STEPS)
    assert judge.sees(movement)
    # Under names that the recording does not have, as where it labels those of several models, nothing was seen of them.
    for by_name in movement.columns.values():
        by_name.update({f"generator.{name}": by_name.pop(name) for name in list(by_name)})
    assert not judge.sees(movement)


def test_parameters_of_one_name_share_no_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    names = dict(taped.edits.parameter_names)
    first, second, *others = names
    names[second] = names[first]
    movement = Movement(taped.program, names)
    Rerun(taped.program).run(watch=movement.watch)
    assert list(movement.columns["update_norm"]) == [names[slot] for slot in others]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moved", "stuck_by"), [pytest.param(1e-9, "slow", id="weights hardly move"), pytest.param(1.0, "level", id="weights move far")]
)
def test_a_loss_that_stands_is_slow_where_the_weights_stand(
    moved: float, stuck_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    movement = Movement(taped.program, taped.edits.parameter_names)
    Rerun(taped.program).run(watch=movement.watch)
    for variable, by_name in movement.columns.items():
        for name, column in by_name.items():
            by_name[name] = np.resize(moved * column if variable == "update_norm" else column, 60)
    judge = Judge(read_run(tmp_path / "run.h5"), 0, STEPS, cycled=60)
    losses = (1.6 + 1e-3 * np.random.default_rng(0).permutation(np.linspace(-1, 1, 60))).tolist()
    losses[0] = 1.61
    assert judge.judge(losses, [False] * 60, 1.0, movement)[:2] == ("stuck", stuck_by)
    assert judge.judge(losses, [False] * 60, 1.0, None)[:2] == ("stuck", "level")
