"""Calls that compiled code takes in come to what the forward hook would have made of them, to the last bit."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.observe.signals import forward_hook, known_calls
from bnprobe.store.reader import Run, read_run
from tests.observe.conftest import Comparison
from tests.observe.programs import CASES

#: What a clock tells.
TIMES = {"observer_seconds", "step_seconds", "wall_time"}
#: One program of each kind for the short suite.
SHORT = ("convnet contiguous", "varying_sizes", "swapped")
#: Threads of these race with the training: two recordings of one kind differ as well, in which step a forward falls into.
RACING = ("threads", "two_trainings")

pytestmark = pytest.mark.skipif(known_calls._compiled() is None, reason="built without a C compiler or Python's header")


def datasets(path: Path) -> dict[str, Any]:
    """Return what a run file holds, by name, but for what a clock tells."""
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, thing: found.update({name: thing[()]}) if isinstance(thing, h5py.Dataset) else None)
    return {name: values for name, values in found.items() if name not in TIMES}


@pytest.mark.parametrize(
    "program",
    [pytest.param(case.program, marks=[] if case.program in SHORT else [pytest.mark.slow]) for case in CASES if case.program not in RACING],
)
def test_a_program_is_recorded_as_without_them(compare: Callable[..., Comparison], program: str) -> None:
    known, anew = compare(program), compare(program, known_calls=False)
    assert (known.recorded.stdout, known.recorded.status) == (anew.recorded.stdout, anew.recorded.status)
    found, expected = datasets(known.file), datasets(anew.file)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


class Training:
    """A small network trained and recorded in this process."""

    def __init__(self, path: Path, model: nn.Module) -> None:
        torch.manual_seed(0)
        self.path = path
        self.model = model
        self.recorder = Recorder(path, RecordOptions(budget=1e9), {})
        self.recorder.expect(model, ())
        self.recorder.install()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    @property
    def taken(self) -> int:
        """Calls taken in so far by compiled code."""
        known = self.recorder._attached.forward._known
        assert known is not None
        return known.taken

    def step(self, inputs: torch.Tensor, scale: float = 1.0) -> None:
        """Make one step; its loss is multiplied by a factor."""
        self.optimizer.zero_grad()
        (self.model(inputs).square().mean() * scale).backward()
        self.optimizer.step()

    def run(self) -> Run:
        """End the recording; return what was written."""
        self.recorder.pause()
        self.recorder.flush()
        return read_run(self.path)


@pytest.fixture
def train(tmp_path: Path) -> Iterator[Callable[[nn.Module], Training]]:
    made: list[Training] = []

    def begin(model: nn.Module) -> Training:
        made.append(Training(tmp_path / f"{len(made)}.h5", model))
        return made[-1]

    yield begin
    for training in made:
        training.recorder.pause()
        training.recorder.abandon()


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Sequential(nn.Linear(8, 4), nn.Identity()))


def test_calls_are_known_from_the_second_step_on(train: Callable[[nn.Module], Training]) -> None:
    training = train(small())
    training.step(torch.randn(16, 6))
    assert training.taken == 0, "the thread that trains is known from its first backward on"
    for _ in range(3):
        training.step(torch.randn(16, 6))
    before = training.taken
    training.step(torch.randn(16, 6))
    assert training.taken - before == 6, "all but the model's own"


def test_a_gradient_that_is_not_finite_is_told(train: Callable[[nn.Module], Training]) -> None:
    training = train(small())
    for _ in range(4):
        training.step(torch.randn(16, 6))
    training.step(torch.randn(16, 6), scale=float("nan"))
    nonfinite = training.run()["activation_gradient_nonfinite"]
    assert np.nansum(nonfinite[:4]) == 0 and (nonfinite[4][1:] > 0).all()


def test_a_signal_that_is_not_finite_is_told(train: Callable[[nn.Module], Training]) -> None:
    training = train(small())
    for _ in range(4):
        training.step(torch.randn(16, 6))
    training.step(torch.full((16, 6), float("inf")))
    nonfinite = training.run()["activation_nonfinite"]
    assert np.nansum(nonfinite[:4]) == 0 and (nonfinite[4] > 0).all()


class Twice(nn.Module):
    def __init__(self, times: int) -> None:
        super().__init__()
        self.inner, self.head, self.times = nn.Linear(6, 6), nn.Linear(6, 2), times

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.times):
            x = self.inner(x)
        result: torch.Tensor = self.head(x)
        return result


def test_a_second_call_in_one_forward_is_another_layer(train: Callable[[nn.Module], Training]) -> None:
    model = Twice(2)
    training = train(model)
    for _ in range(5):
        training.step(torch.randn(4, 6))
    run = training.run()
    assert [layer.name for layer in run.layers] == ["inner:input", "inner", "inner:2", "head"]
    assert np.isfinite(run["activation_rms"]).all()


class Residual(nn.Module):
    """Layers that receive sums and results of functions: what no layer has given."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.norm, self.up, self.drop, self.down, self.head = (
            nn.LayerNorm(6),
            nn.Linear(6, 9),
            nn.Dropout(0.0),
            nn.Linear(9, 6),
            nn.Linear(6, 2),
        )
        self.first, self.kind, self.calls = nn.Linear(6, 6), kind, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        x = self.first(x)
        y = torch.tanh(x) if self.kind == "another operation" and self.calls % 3 == 0 else x * 2.0
        if self.kind == "turned":
            y = y.t().contiguous().t() if self.calls % 2 else y
        if self.kind == "detached" and self.calls % 2:
            y = y.detach()
        if self.kind == "far":
            for _ in range(12):
                y = y + 0.5
        x = x + self.down(self.drop(torch.relu(self.up(self.norm(y + x if self.kind != "detached" else y)))))
        if self.kind == "part":
            x = x[1:]
        result: torch.Tensor = self.head(x)
        return result


KINDS = ("", "another operation", "turned", "detached", "far", "part")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_sum_gives_is_known_by_the_operations_before_it(
    kind: str, train: Callable[[nn.Module], Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded() -> tuple[Run, list[int]]:
        torch.manual_seed(0)
        training = train(Residual(kind))
        taken = []
        for step in range(12):
            training.step(torch.randn(16 if step % 5 else 12, 6))
            taken.append(training.taken if training.recorder._attached.forward._known is not None else 0)
        return training.run(), taken

    known, taken = recorded()
    if not kind:
        assert max(np.diff(taken)) == 6, "all but the model's own"
    monkeypatch.setattr(forward_hook, "known_calls", lambda *_: None)
    anew, _ = recorded()
    assert [layer.name for layer in known.layers] == [layer.name for layer in anew.layers]
    for name in ("activation_rms", "activation_gradient_rms", "activation_max", "activation_between_energy", "loss"):
        np.testing.assert_array_equal(known[name], anew[name], err_msg=name)


@pytest.mark.slow
def test_modules_that_die_are_not_known_by_their_place_in_memory(
    train: Callable[[nn.Module], Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded() -> Run:
        training = train(nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 2)))
        assert isinstance(training.model, nn.Sequential)
        for width in [6, 6, 5, 4, 7, 6, 6, 6]:
            training.model[0], training.model[1] = nn.Linear(6, width), nn.Linear(width, 2)
            gc.collect()
            for _ in range(3):
                training.step(torch.randn(4, 6))
        return training.run()

    known = recorded()
    monkeypatch.setattr(forward_hook, "known_calls", lambda *_: None)
    anew = recorded()
    assert [layer.name for layer in known.layers] == [layer.name for layer in anew.layers]
    for name in ("activation_rms", "activation_gradient_rms", "activation_max", "loss"):
        np.testing.assert_array_equal(known[name], anew[name], err_msg=name)


def test_nothing_of_the_script_lives_longer(train: Callable[[nn.Module], Training]) -> None:
    training = train(small())
    kept: list[weakref.ref[Any]] = []
    training.model[2].register_forward_hook(lambda module, args, output: kept.append(weakref.ref(output)))  # type: ignore[index]
    for _ in range(5):
        training.step(torch.randn(16, 6))
    assert training.taken
    assert [reference() for reference in kept] == [None] * 5
    model = weakref.ref(training.model)
    training.optimizer = training.model = None  # type: ignore[assignment]
    gc.collect()
    assert model() is None


def test_an_output_with_a_gradient_hook_is_the_scripts_to_use(train: Callable[[nn.Module], Training]) -> None:
    training = train(small())
    seen: list[torch.Tensor] = []

    def look(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        handle = output.register_hook(lambda gradient: gradient * 2.0)
        output.register_hook(seen.append)
        if len(seen) > 4:
            handle.remove()
        torch.save(output.detach(), io.BytesIO())
        copy.deepcopy(output.detach())

    training.model[0].register_forward_hook(look)  # type: ignore[index]
    for _ in range(8):
        training.step(torch.randn(16, 6))
    assert len(seen) == 8
    assert training.taken


@pytest.mark.parametrize("subclass", [False, True])
def test_a_subclass_is_left_to_python(train: Callable[[nn.Module], Training], subclass: bool) -> None:
    class Named(torch.Tensor):
        pass

    training = train(small())
    for _ in range(4):
        training.step(torch.randn(16, 6))
    before = training.taken
    training.step(torch.randn(16, 6).as_subclass(Named) if subclass else torch.randn(16, 6))
    assert training.taken - before == (1 if subclass else 6), "of a container nothing is measured"
    assert np.isfinite(training.run()["activation_rms"]).all()
