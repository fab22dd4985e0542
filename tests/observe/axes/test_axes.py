from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import moments
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.signals.records import INPUT, OUTPUT, Pass, Tap, TapKey
from bnprobe.store.reader import Run, read_run
from bnprobe.store.writer import RunWriter


class Bench:
    """Axes over a real run file."""

    def __init__(self, path: Path) -> None:
        self.writer = RunWriter(path, {})
        self.tree = ModuleTree()
        self.patches = Patches()
        self.tree.attach(self.patches)
        self.axes = Axes(self.writer, self.tree)
        self.calls = 0

    def see(self, module: nn.Module, channels: int = 3, call: int = 0, role: str = OUTPUT) -> int | None:
        self.tree.get(module)
        self.calls += 1
        forward = Pass(weakref.ref(self.tree.root(module)), 0, True)
        tap = Tap(TapKey(weakref.ref(module), call, role), False, forward, self.calls, moments(torch.ones(2, channels), CHANNELS_FIRST))
        self.axes.introduce_layers([tap])
        return self.axes.layer(tap)

    def run(self) -> Run:
        return read_run(self.writer.close(status="finished"))


@pytest.fixture
def bench(tmp_path: Path):
    bench = Bench(tmp_path / "run.h5")
    yield bench
    bench.patches.undo()


def test_layers_are_placed_in_order_of_first_sight(bench: Bench) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    assert bench.see(model[1], 4) == 0
    assert bench.see(model[0], 3, role=INPUT) == 1
    assert bench.see(model[0], 4) == 2
    assert bench.see(model[0], 4, call=1) == 3
    assert bench.see(model[1], 4) == 0
    layers = bench.run().layers
    assert [layer.name for layer in layers] == ["1", "0:input", "0", "0:2"]
    assert [(layer.type, layer.kind, layer.role, layer.depth, layer.call) for layer in layers] == [
        ("Tanh", "activation", "output", 0, 0),
        ("Linear", "linear", "input", 1, 0),
        ("Linear", "linear", "output", 2, 0),
        ("Linear", "linear", "output", 3, 1),
    ]


def test_channels_of_layers_lie_end_to_end(bench: Bench) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    places = [bench.see(model[0], 4), bench.see(model[1], 2)]
    assert [bench.axes.channel_slice(place) for place in places if place is not None] == [slice(0, 4), slice(4, 6)]
    run = bench.run()
    assert run["channel_layer"].tolist() == [0, 0, 0, 0, 1, 1]
    assert run["channel"].tolist() == [0, 1, 2, 3, 0, 1]


def test_a_layer_that_changes_its_width_has_no_place(bench: Bench) -> None:
    model = nn.Sequential(nn.Flatten())
    assert bench.see(model[0], 4) == 0
    assert bench.see(model[0], 6) is None
    assert bench.see(model[0], 4) == 0


def test_wrappers_leave_no_trace_in_names(bench: Bench) -> None:
    model = nn.DataParallel(nn.Sequential(nn.Linear(3, 4)))
    layer = model.module[0]
    bench.see(layer, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    bench.axes.introduce(optimizer)
    run = bench.run()
    assert run.layers[0].name == "0"
    assert [(parameter.name, parameter.layer) for parameter in run.parameters] == [("0.weight", "0"), ("0.bias", "0")]


def test_parameters_know_their_group_shape_and_size(bench: Bench) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(4, 3))
    bench.see(model[0], 4)
    optimizer = torch.optim.AdamW([{"params": model[0].parameters()}, {"params": model[1].parameters()}], lr=0.1)
    assert bench.axes.introduce(optimizer) == [0, 1]
    assert bench.axes.introduce(optimizer) == [0, 1]
    run = bench.run()
    assert run.groups == ["AdamW[0]", "AdamW[1]"]
    assert [tuple(parameter) for parameter in run.parameters] == [
        ("0.weight", "0", "4x2x3x3", 72, 0),
        ("0.bias", "0", "4", 4, 0),
        ("1.weight", "1", "3x4", 12, 1),
        ("1.bias", "1", "3", 3, 1),
    ]
    assert bench.axes.parameter(model[1].bias) == 3
    assert bench.axes.parameter(nn.Parameter(torch.ones(3))) is None


def test_a_group_that_grows_is_seen(bench: Bench) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))
    bench.see(model[0], 4)
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    bench.axes.introduce(optimizer)
    optimizer.add_param_group({"params": model[1].parameters()})
    assert bench.axes.introduce(optimizer) == [0, 1]
    assert [parameter.name for parameter in bench.run().parameters] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_scalar_parameter_has_a_shape(bench: Bench) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(1.0))

    model = Scaled()
    bench.see(model)
    bench.axes.introduce(torch.optim.SGD(model.parameters(), lr=0.1))
    (parameter,) = bench.run().parameters
    assert (parameter.name, parameter.shape, parameter.size) == ("gain", "scalar", 1)


def test_a_model_that_is_one_layer_is_called_by_its_class(bench: Bench) -> None:
    bench.see(nn.Linear(3, 4), 4)
    assert [layer.name for layer in bench.run().layers] == ["Linear"]


def test_two_models_are_told_apart(bench: Bench) -> None:
    models = [nn.Sequential(nn.Linear(3, 4)), nn.Sequential(nn.Linear(4, 3))]
    for model in models:
        bench.tree.get(model[0])
    for model in models:
        bench.see(model[0])
    layers = bench.run().layers
    assert len({layer.name for layer in layers}) == 2
    assert [layer.model for layer in layers] == [0, 1]


def test_names_are_unique(bench: Bench) -> None:
    model = nn.Sequential(nn.Linear(3, 4))
    kept = []
    for _ in range(4):
        kept.append(nn.Linear(3, 4))
        model[0] = kept[-1]
        bench.see(model[0])
    assert [layer.name for layer in bench.run().layers] == ["0", "0~2", "0~3", "0~4"]


def test_parameters_are_of_the_layer_that_bears_their_name(bench: Bench) -> None:
    copies = [nn.ModuleDict({"body": nn.Linear(3, 4)}) for _ in range(2)]
    for copy in reversed(copies):
        bench.see(copy["body"], 4)
        bench.axes.introduce(torch.optim.SGD(copy.parameters(), lr=0.1))
    run = bench.run()
    assert [layer.name for layer in run.layers] == ["body", "body~2"]
    assert [parameter.layer for parameter in run.parameters] == ["body", "body", "body~2", "body~2"]


def test_a_wrapper_that_comes_later_keeps_the_names(bench: Bench) -> None:
    model = nn.ModuleDict({"body": nn.Linear(3, 4), "head": nn.Linear(4, 1)})
    for layer in model.values():
        bench.see(layer, layer.out_features)
    bench.axes.introduce(torch.optim.SGD(model["head"].parameters(), lr=0.1))
    wrapped = nn.DataParallel(model)
    bench.tree.get(wrapped)
    assert bench.tree.root(model["body"]) is wrapped
    bench.axes.introduce(torch.optim.SGD(wrapped.parameters(), lr=0.1))
    assert [(one.name, one.layer) for one in bench.run().parameters if one.layer != "head"] == [
        ("body.weight", "body"),
        ("body.bias", "body"),
    ]
