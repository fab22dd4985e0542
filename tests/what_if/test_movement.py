"""How far the weights of a rerun move is how far those of the recorded training moved; and a rate that is too small is told by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.store.reader import read_run
from bnprobe.what_if.judging import Judge
from bnprobe.what_if.movement import Movement
from bnprobe.what_if.rerun import Rerun
from tests.what_if.test_rerun import STEPS, Training, clipped, cnn, momentum, plain, tape


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
    # Under names that the recording does not have nothing was seen of them.
    for by_name in movement.columns.values():
        by_name.update({f"another.{name}": by_name.pop(name) for name in list(by_name)})
    assert not judge.sees(movement)


def adversaries() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 64))


def against_each_other(training: Training) -> None:
    """Two models whose parameters have the same names, and two optimizers that take turns."""
    critic = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1))
    descent = torch.optim.SGD(critic.parameters(), lr=0.1)
    real, none = torch.ones(16, 1), torch.zeros(16, 1)
    for _, x, _ in training.batches(STEPS):
        fake = training.model(torch.randn(16, 4))
        descent.zero_grad()
        judged = F.binary_cross_entropy_with_logits
        (judged(critic(x.flatten(1)), real) + judged(critic(fake.detach()), none)).backward()  # type: ignore[no-untyped-call]
        descent.step()
        training.optimizer.zero_grad()
        training.descend(judged(critic(fake), real))
        training.optimizer.step()


def test_models_that_take_turns_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(adversaries, momentum, against_each_other, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None
    movement = Movement(taped.program, taped.edits.parameter_names)
    Rerun(taped.program).run(watch=movement.watch)
    run = read_run(tmp_path / "run.h5")
    assert sorted(movement.columns["update_norm"]) == sorted(parameter.name for parameter in run.parameters)
    assert len(run.parameters) == 8
    for variable, by_name in movement.columns.items():
        for place, parameter in enumerate(run.parameters):
            column, recorded = by_name[parameter.name], run[variable][: taped.program.steps, place]
            both = np.isfinite(column) & np.isfinite(recorded)
            assert both.sum() >= 2
            np.testing.assert_allclose(column[both], recorded[both], rtol=1e-5)


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
