"""Many layers, several optimizers with many groups: nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bnprobe.launch import ending
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.store.reader import read_run


@pytest.mark.slow
def test_every_layer_parameter_and_group_is_there(tmp_path: Path) -> None:
    layers, optimizers, groups = 500, 3, 100
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(layers)))
    parameters = list(model.parameters())
    made = []
    for first in range(optimizers):
        own = parameters[first::optimizers]
        made.append(torch.optim.SGD([{"params": own[group::groups], "lr": 1e-4 * (group + 1)} for group in range(groups)]))
    recorder = Recorder(tmp_path / "run.h5", RecordOptions(budget=1e9), {})
    recorder.install()
    for _ in range(2):
        for optimizer in made:
            optimizer.zero_grad()
        model(torch.randn(4, 2)).square().mean().backward()
        for optimizer in made:
            optimizer.step()
    recorder.finish(ending.finished())
    run = read_run(tmp_path / "run.h5")
    assert (run.steps, len(run.parameters), len(run.groups), run.gaps) == (2, 2 * layers, optimizers * groups, [])
    assert sum(layer.role != "input" for layer in run.layers) == layers
    assert run["learning_rate"][1].max() == pytest.approx(1e-4 * groups)
