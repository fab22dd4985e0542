"""A short stretch gone through several times is the training that goes through its batches several times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.what_if.cycling import cycled
from bnprobe.what_if.rerun import Rerun
from tests.what_if.test_rerun import Training, adam, cnn, momentum, tape, train

WHOLE = 6


def rounds(number: int) -> Any:
    """Train some steps, and one more that has no update; again, after all whole ones, as often as asked."""

    def run(training: Training) -> None:
        batches = list(training.batches(WHOLE + 1))
        for round_ in range(number):
            for step, x, y in batches:
                if step == WHOLE and round_ < number - 1:
                    continue
                training.optimizer.zero_grad()
                training.descend(F.cross_entropy(training.model(x), y))
                nn.utils.clip_grad_norm_(training.model.parameters(), 0.5)
                training.optimizer.step()

    return run


@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_it_is_the_real_training(optimizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnprobe.what_if.stretch.FEWEST_WHAT_IF_STEPS", 2)
    taped = tape(cnn, optimizer, rounds(1), tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None, taped.refusal
    assert taped.program.steps == WHOLE + 1
    longer = cycled(taped.program, 3 * WHOLE)
    assert longer is not None and longer.steps == 3 * WHOLE
    for factor in (1.0, 2.0):
        course = Rerun(longer).run(factor)
        assert course.losses == train(cnn, optimizer, rounds(3), factor)[: 3 * WHOLE]
    assert Rerun(taped.program).run().losses == taped.losses


def test_without_an_update_there_is_nothing_to_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnprobe.what_if.stretch.FEWEST_WHAT_IF_STEPS", 1)

    def once(training: Training) -> None:
        for _, x, y in training.batches(1):
            training.descend(F.cross_entropy(training.model(x), y))
            training.optimizer.step()

    taped = tape(cnn, lambda model: torch.optim.SGD(model.parameters(), lr=0.1), once, tmp_path / "run.h5", monkeypatch)
    assert taped.program is None or cycled(taped.program, 20) is None
