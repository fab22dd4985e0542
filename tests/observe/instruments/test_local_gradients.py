"""The gradient of a rank's own samples: what came whole is measured, what came in parts or not at all is no evidence of anything."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.local_gradients import ATTRIBUTE, LocalGradients


class Nothing(torch.autograd.Function):
    """Hands no gradient on."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return None


class Scene:
    """One rank of two, with three weights under training."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "0")
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        self.weights = [nn.Parameter(torch.ones(2)) for _ in range(3)]
        self.aside = False
        self.faults: list[str] = []
        self.attributes: dict[str, str] = {}
        keys = [id(weight) for weight in self.weights]
        axes = SimpleNamespace(parameter_place=keys.index, layer_of=lambda key: str(keys.index(key)), layer_names=["0", "1", "2"])
        optimizer = torch.optim.SGD(self.weights, lr=0.1)
        around: Any = SimpleNamespace(
            axes=axes,
            writer=SimpleNamespace(set_attribute=self.attributes.__setitem__),
            optimizers=lambda: [optimizer],
            faults=Faults(False, lambda place, reason: self.faults.append(place)),
            is_aside=lambda: self.aside,
        )
        self.seen = LocalGradients(around)
        self.step: Any = SimpleNamespace(observed=True, micro_steps=1, number=0, scale=None)
        nothing: Any = None
        self.seen.before_backward(self.step, nothing)

    def norms(self) -> dict[int, float]:
        nothing: Any = None
        self.seen.before_update(self.step, nothing)
        return {
            place: value
            for _, reading in self.seen.close(self.step, [])
            for place, value in zip(reading.places, torch.as_tensor(reading.values).tolist(), strict=True)
        }


def test_whole_gradients_are_measured_and_others_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    first, second, third = scene.weights
    (3 * first.sum() + second.sum() + Nothing.apply(third).sum()).backward()
    second.sum().backward()  # as a reentrant checkpoint does: the second part
    assert scene.norms() == {0: pytest.approx(3 * math.sqrt(2))}
    assert scene.attributes == {}


def test_what_the_script_asks_for_beside_its_training_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.weights[0].sum().backward()
    scene.aside = True
    torch.autograd.grad(scene.weights[0].sum(), scene.weights[0])
    assert scene.norms() == {0: pytest.approx(math.sqrt(2))}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_infinite_and_told(monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    scene = Scene(monkeypatch)
    (bad * scene.weights[0].sum() + scene.weights[1].sum()).backward()
    assert scene.norms() == {0: math.inf, 1: pytest.approx(math.sqrt(2))}
    assert '"layer": "0"' in scene.attributes[ATTRIBUTE]


def test_a_fault_does_not_leave_through_the_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)

    def failing(tensors: Any) -> torch.Tensor:
        raise RuntimeError("no memory")

    monkeypatch.setattr("bnprobe.observe.instruments.local_gradients.norms", failing)
    scene.weights[0].sum().backward()
    assert len(scene.faults) == 1
