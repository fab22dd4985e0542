"""Signals whose handlers run while steps pass by, or are made: those of the script, and the one that ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from bnprobe.observe.instruments.instrument import Stopwatch
from bnprobe.observe.recording import passing
from bnprobe.observe.recording.step_keeper import StepKeeper
from bnprobe.observe.recording.unseen import Unseen
from bnprobe.observe.rows.delivery import Delivery
from bnprobe.observe.schedule.schedule import Schedule
from tests.observe.recording.test_passing import STEPS, Training, by_steps, record  # noqa: F401

pytestmark = pytest.mark.skipif(passing._compiled() is None, reason="built without a C compiler or Python's header")

#: A training that is told to end while the settings of its optimizer, which a scheduler has changed, are read for a step that passes by.
TOLD_TO_END = """
import os, signal, sys, torch
from torch import nn
from bnprobe.observe.recording.passing import Passing

def settings_are_read(frame, event, argument):
    global told
    if event == "call" and frame.f_code is Passing._reread.__code__ and step > 600 and not told:
        told = True
        print(step, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

torch.manual_seed(0)
step, told = 0, False
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100_000)
inputs = torch.randn(64, 6)
sys.setprofile(settings_are_read)
while step < 50_000:
    optimizer.zero_grad()
    (model(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
    optimizer.step()
    schedule.step()
    step += 1
print("never told")
"""


def test_a_training_that_is_told_to_end_has_all_its_steps(tmp_path: Path) -> None:
    script, run = tmp_path / "train.py", tmp_path / "run.h5"
    script.write_text(TOLD_TO_END)
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(run), str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == -signal.SIGTERM, ended.stdout + ended.stderr
    with h5py.File(run) as file:
        assert len(file["loss"]) == int(ended.stdout), "rows, of so many steps"


class ScriptsOwn(Exception):
    """What the handler of a script raises to end something that takes too long."""


PLACES: list[tuple[type, str]] = [
    (Stopwatch, "__enter__"),
    (StepKeeper, "pass_by"),
    (StepKeeper, "_close_step"),
    (StepKeeper, "_note_rates"),
    (Delivery, "_receive_travelling"),
    (Delivery, "_deliver_if_due"),
    (Schedule, "pass_by"),
    (Schedule, "keep_promise"),
    (Unseen, "note_update"),
]


@pytest.mark.parametrize(("owner", "name"), PLACES, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_an_exception_of_the_scripts_own_costs_no_step(
    record: Callable[..., tuple[dict[str, Any], int]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
) -> None:
    armed: list[Training] = []
    original = getattr(owner, name)
    raised: list[int] = []
    updates = 0

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        passes = armed[0].recorder._events.passing if armed else None
        if passes is not None and passes._is_taking:
            armed.clear()
            signal.raise_signal(signal.SIGALRM)
        return original(self, *args, **kwargs)

    def handler(*_: Any) -> None:
        raised.append(1)
        raise ScriptsOwn

    def train(training: Training) -> None:
        nonlocal updates
        for index in range(STEPS):
            if index in (250, 300, 350):
                armed.append(training)
            before = training.model[0].weight._version
            try:
                training.step()
            except ScriptsOwn:
                pass
            updates += training.model[0].weight._version > before

    monkeypatch.setattr(owner, name, interrupted)
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        found, count = record(train, passes=True)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert len(raised) == 3 and count >= 200, "steps went on passing by"
    assert len(found["loss"]) == updates
