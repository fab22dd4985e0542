"""How long the look at an evaluation lasts: one forward, whatever the model is made of."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bnprobe.observe.attaching import module_calls
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.evaluations import EvaluationTaps
from bnprobe.observe.instruments.instrument import Stopwatch
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.steps.open_step import OpenStep


@pytest.fixture
def taps() -> Iterator[EvaluationTaps]:
    """Watch evaluations after step 0."""
    patches, tree = Patches(), ModuleTree()
    around: Any = SimpleNamespace(tree=tree, axes=SimpleNamespace(place=lambda key: 0), clock=SimpleNamespace(last_update=0))
    taps = EvaluationTaps(around, Faults(True, lambda place, reason: None), Stopwatch())
    tree.attach(patches)
    taps.attach(patches)
    yield taps
    taps.detach()
    patches.undo()


def noted(taps: EvaluationTaps) -> list[float]:
    """Return the samples of the evaluation that was looked at, if any."""
    readings = taps.close(OpenStep(0, observed=True), ())
    return [value for name, reading in readings if name == "evaluation_batch_size" for value in reading.values]


def hooks() -> int:
    return sum(map(len, module_calls._HOOKS.values()))


@torch.no_grad()
def test_a_model_without_batch_norm_is_looked_at_for_one_forward(taps: EvaluationTaps) -> None:
    model, before = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval(), hooks()
    assert before == 1
    model(torch.ones(4, 3))
    assert hooks() == 0
    assert noted(taps) == []


@torch.no_grad()
def test_parts_that_are_called_one_by_one_are_looked_at_for_one_batch(taps: EvaluationTaps) -> None:
    whole = nn.ModuleDict({"body": nn.Linear(3, 2), "norm": nn.BatchNorm1d(2)}).eval()
    for samples in (4, 5, 6):
        whole["norm"](whole["body"](torch.ones(samples, 3)))
    assert noted(taps) == [4]
    assert hooks() == 0


@torch.no_grad()
def test_a_transform_of_the_data_is_no_evaluation(taps: EvaluationTaps) -> None:
    model, scale = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval(), nn.Flatten()
    for _ in range(2):
        model(scale(torch.ones(4, 3)))
    assert noted(taps) == [4]
