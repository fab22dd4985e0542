from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse import layers
from bnprobe.store.reader import Layer, Parameter, Run


def run_of_layers(*found: Layer) -> Run:
    return Run(Path("x.h5"), {}, list(found), [], [], [], [], {})


def layer(name: str, kind: str, depth: int, role: str = "output", call: int = 0, model: int = 0) -> Layer:
    return Layer(name, kind.title(), kind, role, depth, call, model, 4)


@pytest.mark.parametrize(
    ("name", "module"),
    [("a.b", "a.b"), ("a.b:2", "a.b"), ("a.b:input", "a.b"), ("a.b:input:2", "a.b"), ("a.b:2:input", "a.b"), ("", ""), ("a:x", "a:x")],
)
def test_module_of(name: str, module: str) -> None:
    assert layers.module_of(name) == module


def test_layers_are_counted_as_a_person_counts_them() -> None:
    names = (("a:input", "input", 0), ("a", "output", 0), ("b", "output", 0), ("a:2", "output", 1), ("c:2", "output", 1))
    run = run_of_layers(*(layer(name, "linear", depth, role, call) for depth, (name, role, call) in enumerate(names)))
    assert [one.name for one in layers.counted(run)] == ["a", "b", "c:2"]


def test_a_profile_holds_first_calls_of_the_most_frequent_weighted_kind_in_depth_order() -> None:
    run = run_of_layers(
        layer("deep", "linear", 9),
        layer("x:input", "linear", 0, role="input"),
        layer("first", "linear", 1),
        layer("relu", "activation", 2),
        layer("relu2", "activation", 3),
        layer("relu3", "activation", 4),
        layer("first:2", "linear", 5, call=1),
        layer("conv", "convolution", 6),
        layer("other", "linear", 1, model=1),
    )
    assert layers.profile_layers(run).tolist() == [2, 0]
    assert layers.profile_layers(run, model=1).tolist() == [8]
    assert layers.profile_layers(run, model=7).tolist() == []


@pytest.mark.parametrize(
    ("given", "shapes", "found"),
    [
        ([4, 1, 1], ["4x3", "1x4", "1x4"], [2, 1]),  # a mean and its variance
        ([4, 4, 1], ["4x4", "4x4", "1x4"], [2]),  # one after another
        ([12, 4, 1], ["12x4", "4x4", "1x4"], [2]),  # three signals side by side, as queries, keys and values are
        ([4, 2, 1], ["4x3", "2x4", "1x2"], [2]),
    ],
)
def test_heads_take_in_one_signal(given: list[int], shapes: list[str], found: list[int]) -> None:
    run = run_of_layers(*(layer(f"l{i}", "linear", i)._replace(channels=channels) for i, channels in enumerate(given)))
    run.parameters.extend(Parameter(f"l{i}.weight", f"l{i}", shape, 4, 0) for i, shape in enumerate(shapes))
    assert layers.heads(run, 2) == found


def test_without_weights_the_most_frequent_kind_makes_the_profile() -> None:
    run = run_of_layers(layer("a", "normalisation", 0), layer("b", "activation", 1), layer("c", "activation", 2))
    assert layers.profile_layers(run).tolist() == [1, 2]


def test_modules_of_the_scripts_own_make_the_profile_where_there_are_hardly_others() -> None:
    own = [layer(f"spread.{i}", "other", i) for i in range(3)]
    weights = [Parameter(f"{one.name}.weight", one.name, "4x4", 16, 0) for one in own]
    run = run_of_layers(*own, layer("scale", "other", 3), layer("head", "linear", 4))
    assert layers.profile_layers(run).tolist() == [4]
    run.parameters.extend(weights)
    assert layers.profile_layers(run).tolist() == [0, 1, 2]
    run.layers.extend([layer("fc1", "linear", 5), layer("fc2", "linear", 6)])
    assert layers.profile_layers(run).tolist() == [4, 5, 6]


def test_no_layers_no_profile() -> None:
    assert layers.profile_layers(run_of_layers()).dtype == np.int64
    assert layers.largest_model(run_of_layers()) == 0


def test_of_an_actor_and_a_critic_the_profile_follows_one() -> None:
    def linear(name: str, depth: int, channels: int) -> Layer:
        return layer(name, "linear", depth)._replace(channels=channels)

    entry = layer("actor.0:input", "linear", 0, role="input")._replace(channels=4)
    names = ("actor.0", "actor.1", "actor.2", "critic.0", "critic.1")
    found = [linear(name, 1 + i, channels) for i, (name, channels) in enumerate(zip(names, (64, 64, 2, 64, 1), strict=True))]
    run = run_of_layers(entry, *found)
    shapes = ("(64, 4)", "(64, 64)", "(2, 64)", "(64, 4)", "(1, 64)")
    run.parameters[:] = [Parameter(f"{name}.weight", name, shape, 1, 0) for name, shape in zip(names, shapes, strict=True)]
    assert layers.profile_layers(run).tolist() == [1, 2, 3]
    run.parameters[3] = run.parameters[3]._replace(shape="(64, 2)")  # it takes in what the actor gives out
    assert layers.profile_layers(run).tolist() == [1, 2, 3, 4, 5]
