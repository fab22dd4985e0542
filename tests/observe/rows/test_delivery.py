"""What the script raises for itself, in the handler of a signal, costs no row and writes none twice."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.observe.rows.delivery import Delivery
from bnprobe.store.reader import read_run

STEPS = 150


class Deadline(Exception):
    """What the script's handler raises."""


@pytest.mark.parametrize("is_there", [False, True], ids=["before rows are there", "once they are"])
def test_a_handler_that_raises_while_rows_are_made(is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, raised, append = 0, 0, Delivery._append

    def interrupted(delivery: Delivery, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if is_there:
            append(delivery, *arguments)
        if calls % 5 == 2:
            signal.raise_signal(signal.SIGALRM)
        if not is_there:
            append(delivery, *arguments)

    def handler(*_: object) -> None:
        raise Deadline

    monkeypatch.setattr(Delivery, "_append", interrupted)
    before = signal.signal(signal.SIGALRM, handler)
    recorder = Recorder(tmp_path / "run.h5", RecordOptions(budget=1e9, every=3), {})
    recorder.install()
    try:
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(STEPS):
            try:
                model(torch.randn(4, 3)).square().mean().backward()
                optimizer.step()
            except Deadline:
                raised += 1
        monkeypatch.setattr(Delivery, "_append", append)
        recorder.pause()
        recorder.flush()
    finally:
        signal.signal(signal.SIGALRM, before)
        recorder.pause()
        recorder.abandon()
    assert raised > 3
    steps = read_run(tmp_path / "run.h5")["step"].tolist()
    assert steps == list(range(STEPS))[: len(steps)]
    assert len(steps) >= STEPS - raised - 1
