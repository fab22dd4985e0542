"""Steps that pass by come to the rows that would have been made of them one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from bnprobe.observe.options import RecordOptions, StopTraining
from bnprobe.observe.recorder import Recorder
from bnprobe.observe.recording import passing
from bnprobe.observe.schedule.schedule import BASELINE_STEPS, Schedule

pytestmark = pytest.mark.skipif(passing._compiled() is None, reason="built without a C compiler or Python's header")

#: What a clock tells.
TIMES = {"observer_seconds", "step_seconds", "wall_time"}
STEPS = 400


class Training:
    """A small network whose training is recorded in this process; a test adds to what a step does."""

    def __init__(self, path: Path, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 1))
        self.inputs = torch.randn(64, 6)
        self.targets = self.inputs.sum(1, keepdim=True)
        self.recorder = Recorder(path, RecordOptions(budget=0.05, **options), {})
        self.recorder.install()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.number = 0

    def loss(self, scale: float = 1.0) -> torch.Tensor:
        return (self.model(self.inputs) - self.targets).square().mean() * scale

    def step(self, scale: float = 1.0) -> None:
        self.optimizer.zero_grad()
        self.loss(scale).backward()
        self.optimizer.step()
        self.number += 1

    @property
    def made(self) -> int:
        """Steps that have passed by and been made."""
        passes = self.recorder._events.passing
        return 0 if passes is None else passes.made


@pytest.fixture
def by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have steps measured, and gradients looked at, at distances that no clock decides."""

    def account(schedule: Schedule, *costs: Any) -> bool:
        schedule._measured += costs[2]
        schedule._purse, schedule._cost = 1.0, 1e-9
        if schedule._measured >= BASELINE_STEPS and schedule.stride == 1:
            schedule.stride = 70
            schedule._gap = schedule._distance()
        return False

    note_look = Schedule.note_look

    def note_a_look(schedule: Schedule, seconds: float, passed: int | None = None) -> None:
        note_look(schedule, seconds, passed)
        schedule.watch_stride = 20

    monkeypatch.setattr(Schedule, "account", account)
    monkeypatch.setattr(Schedule, "account_passed", lambda *costs: False)
    monkeypatch.setattr(Schedule, "note_look", note_a_look)


@pytest.fixture
def record(tmp_path: Path, by_steps: None) -> Iterator[Callable[..., tuple[dict[str, Any], int]]]:
    made: list[Training] = []

    def run(train: Callable[[Training], None], *, passes: bool) -> tuple[dict[str, Any], int]:
        with pytest.MonkeyPatch.context() as patch:
            if not passes:
                patch.setattr(passing, "_compiled", lambda: None)
            path = tmp_path / f"{passes}.h5"
            training = Training(path)
        made.append(training)
        train(training)
        training.recorder.pause()
        training.recorder.flush()
        return datasets(path), training.made

    yield run
    for training in made:
        training.recorder.pause()
        training.recorder.abandon()


def datasets(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, thing: found.update({name: thing[()]}) if isinstance(thing, h5py.Dataset) else None)
        found["weights"] = file.attrs.get("status")
    return {name: values for name, values in found.items() if name not in TIMES}


def plainly(training: Training) -> None:
    for _ in range(STEPS):
        training.step()


def a_rising_loss(training: Training) -> None:
    for index in range(STEPS):
        training.step(50.0 if index in (250, 251) else 1.0)


def a_loss_that_is_not_finite(training: Training) -> None:
    for index in range(STEPS):
        training.step(float("nan") if index == 300 else 1.0)


def another_rate_at_every_step(training: Training) -> None:
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(training.optimizer, STEPS)
    for _ in range(STEPS):
        training.step()
        schedule.step()


def a_rate_that_falls(training: Training) -> None:
    for index in range(STEPS):
        if index == 260:
            training.optimizer.param_groups[0]["lr"] = 0.001
        training.step()


def another_weight_decay(training: Training) -> None:
    for index in range(STEPS):
        if index == 265:
            training.optimizer.param_groups[0]["weight_decay"] = 0.1
        training.step()


def another_mode(training: Training) -> None:
    for index in range(STEPS):
        if index == 255:
            training.model.eval()
        training.step()


def evaluations(training: Training) -> None:
    for index in range(STEPS):
        if index % 30 == 29:
            training.model.eval()
            with torch.no_grad():
                training.model(training.inputs)
            training.model.train()
        training.step()


def clipped(training: Training) -> None:
    for index in range(STEPS):
        training.optimizer.zero_grad()
        training.loss().backward()
        if index % 50:
            torch.nn.utils.clip_grad_norm_(training.model.parameters(), 0.5)
        training.optimizer.step()


def accumulated(training: Training) -> None:
    for index in range(STEPS):
        training.optimizer.zero_grad()
        for _ in range(2 if index % 40 == 39 else 1):
            training.loss().backward()
        training.optimizer.step()


def backwards_that_fail(training: Training) -> None:
    def fail(gradient: torch.Tensor) -> None:
        raise RuntimeError("the script's")

    for index in range(STEPS):
        training.optimizer.zero_grad()
        loss = training.loss()
        if index % 45 == 44:
            loss.register_hook(fail)
            with pytest.raises(RuntimeError, match="the script's"):
                loss.backward()
            loss = training.loss()
        loss.backward()
        training.optimizer.step()


def steps_that_fail(training: Training) -> None:
    def fail(*arguments: Any) -> None:
        if index % 45 == 44 and not failed:
            failed.append(index)
            raise RuntimeError("the script's")

    training.optimizer.register_step_pre_hook(fail)
    for index in range(STEPS):
        failed: list[int] = []
        training.optimizer.zero_grad()
        training.loss().backward()
        if index % 45 == 44:
            with pytest.raises(RuntimeError, match="the script's"):
                training.optimizer.step()
        training.optimizer.step()


def a_step_around_another(training: Training) -> None:
    class Outer(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    training.optimizer = Outer(training.model.parameters(), lr=0.01)
    plainly(training)


def closures(training: Training) -> None:
    def closure() -> torch.Tensor:
        training.optimizer.zero_grad()
        loss = training.loss()
        loss.backward()
        return loss

    for index in range(STEPS):
        if index % 33 == 32:
            training.optimizer.step(closure)
        else:
            training.step()


def two_optimizers(training: Training) -> None:
    other = torch.optim.SGD(training.model.parameters(), lr=0.001)
    for index in range(STEPS):
        training.step()
        if index > 200:
            other.step()


def losses_without_an_update(training: Training) -> None:
    for index in range(STEPS):
        if index % 37 == 36:
            training.loss().backward()
        training.step()


def gradients_that_are_asked_for(training: Training) -> None:
    for index in range(STEPS):
        if index % 41 == 40:
            torch.autograd.grad(training.loss(), list(training.model.parameters()), create_graph=True)
        training.step()


def steps_from_a_hook(training: Training) -> None:
    other = torch.optim.SGD([nn.Parameter(torch.zeros(3))], lr=0.1)

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if optimizer is training.optimizer:
            other.step()

    for index in range(STEPS):
        if index == 300:
            handle = register_optimizer_step_post_hook(hook)
        training.step()
    handle.remove()


def disabled_scaler(training: Training) -> None:
    scaler = torch.amp.GradScaler(enabled=False)
    for _ in range(STEPS):
        training.optimizer.zero_grad()
        scaler.scale(training.loss()).backward()
        scaler.step(training.optimizer)
        scaler.update()


def smaller_batches(training: Training) -> None:
    inputs, targets = training.inputs, training.targets
    for index in range(STEPS):
        size = 7 if index % 20 == 19 else 64
        training.inputs, training.targets = inputs[:size], targets[:size]
        training.step()


def another_thread_trains(training: Training) -> None:
    def train() -> None:
        model = nn.Linear(3, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()

    for index in range(STEPS):
        if index == 300:
            thread = threading.Thread(target=train)
            thread.start()
            thread.join()
        training.step()


PASSES = {
    plainly: 200,
    a_rising_loss: 150,
    a_loss_that_is_not_finite: 150,
    another_rate_at_every_step: 200,
    a_rate_that_falls: 150,
    another_weight_decay: 150,
    another_mode: 150,
    evaluations: 150,
    clipped: 150,
    accumulated: 100,
    backwards_that_fail: 100,
    steps_that_fail: 100,
    a_step_around_another: 0,
    closures: 100,
    two_optimizers: 60,
    losses_without_an_update: 100,
    gradients_that_are_asked_for: 150,
    steps_from_a_hook: 100,
    disabled_scaler: 200,
    smaller_batches: 150,
    another_thread_trains: 100,
}


@pytest.mark.parametrize("train", PASSES, ids=lambda train: train.__name__)
def test_what_passes_by_is_recorded_as_what_does_not(record: Callable[..., tuple[dict[str, Any], int]], train: Callable[..., None]) -> None:
    expected, none = record(train, passes=False)
    found, count = record(train, passes=True)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert none == 0 and count >= PASSES[train], "steps that passed by"


@pytest.mark.parametrize("limit", [180, 181, 199, 216])
def test_a_training_ends_at_its_last_step(tmp_path: Path, by_steps: None, limit: int) -> None:
    training = Training(tmp_path / "run.h5", max_steps=limit)
    try:
        with pytest.raises(StopTraining):
            plainly(training)
        assert training.recorder.steps == limit and training.made > 0
    finally:
        training.recorder.pause()
        training.recorder.abandon()


def test_a_forked_child_forgets_what_has_passed_by(tmp_path: Path, by_steps: None) -> None:
    training = Training(tmp_path / "run.h5")
    while training.recorder._events.passing._passer.state == passing.CLOSED or training.number < STEPS // 2:
        training.step()
    for _ in range(3):
        training.step()
    made = training.made
    assert training.recorder._events.passing._passer.state != passing.CLOSED
    training.recorder.abandon()
    assert training.recorder._events.passing._passer.state == passing.CLOSED and training.made == made
    training.step()


def test_weights_are_the_same_to_the_last_bit(tmp_path: Path, by_steps: None) -> None:
    weights = []
    for is_recorded in (True, False):
        training = Training(tmp_path / f"{is_recorded}.h5")
        if not is_recorded:
            training.recorder.pause()
        plainly(training)
        training.recorder.pause()
        training.recorder.abandon()
        weights.append([parameter.detach().clone() for parameter in training.model.parameters()])
    assert all(map(torch.equal, *weights))
