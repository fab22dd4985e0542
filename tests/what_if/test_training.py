"""A training that was left standing and taken up again is the one that was not, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bnprobe.what_if.movement import Movement
from bnprobe.what_if.rerun import Rerun
from bnprobe.what_if.standing import Standing, Watched
from tests.what_if.test_rerun import STEPS, accumulated, adam, clipped, cnn, momentum, normalised, plain, scaled, tape


@pytest.mark.parametrize(
    ("make", "optimizer", "run", "remedy"),
    [
        pytest.param(cnn, momentum, plain, "none", id="plain"),
        pytest.param(cnn, adam, clipped, "msr", id="a remedy around the steps"),
        pytest.param(cnn, momentum, plain, "weight-norm", id="a remedy with parameters"),
        pytest.param(cnn, momentum, plain, "dropout:after=convolutions", id="a remedy that draws random numbers"),
        pytest.param(normalised, momentum, plain, "none", id="running statistics and dropout"),
        pytest.param(cnn, momentum, accumulated, "none", id="several backwards a step"),
        pytest.param(cnn, momentum, scaled, "none", id="steps that a scaler lets out"),
    ],
)
def test_left_standing_it_goes_on_as_if_it_had_not(
    make: Any, optimizer: Any, run: Any, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taped = tape(make, optimizer, run, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.edits is not None, taped.refusal
    rerun = Rerun(taped.program, 2**26)
    rerun.run()  # what is the same in every rerun is kept
    expected = {factor: rerun.run(factor, taped.edits.of(remedy)) for factor in (1.0, 0.5)}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trainings = {factor: rerun.begin(factor, taped.edits.of(remedy)) for factor in expected}
    for steps in (5, 11):
        for training in trainings.values():
            assert not training.go_on(rerun.stop_after(steps))
            assert len(training.course.losses) == steps
            assert training.held_bytes > 0
    for factor, training in trainings.items():
        assert training.go_on()
        assert training.course.losses == expected[factor].losses
        assert training.course.skipped == expected[factor].skipped
        assert training.held_bytes == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_one_that_diverges_within_the_steps_is_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    rerun = Rerun(taped.program)
    whole = rerun.run(1000.0)
    assert whole.diverged is not None
    for steps in (len(whole.losses), len(whole.losses) + 2):
        training = rerun.begin(1000.0)
        assert training.go_on(rerun.stop_after(steps))
        assert (training.course.losses, training.course.diverged) == (whole.losses, whole.diverged)


def test_there_is_no_place_to_stop_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    assert Rerun(taped.program).stop_after(STEPS - 1) is not None
    assert Rerun(taped.program).stop_after(STEPS) is None


def test_what_stands_is_kept_while_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None
    rerun = Rerun(taped.program)
    standing, trainings = Standing(), {}
    for place in (4, 8, 6):
        training = trainings[place] = rerun.begin()
        training.go_on(rerun.stop_after(5))
        standing.leave(place, Watched(training, Movement(taped.program, {})), room=2 * training.held_bytes)
    assert [training.held_bytes > 0 for training in trainings.values()] == [False, True, True], "the slowest had to go"
    assert standing.take(4) is None
    taken = standing.take(8)
    assert taken is not None and taken.training is trainings[8]
    standing.clear()
    assert trainings[6].held_bytes == 0
