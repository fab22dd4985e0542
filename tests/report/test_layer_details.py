"""What a layer's panel counts, beside the numbers of the file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bnprobe.analyse.views import RunView
from bnprobe.report import layer_details as subject
from bnprobe.report.layer_details import BINS, layer_details
from bnprobe.report.packing import to_json
from tests.synthetic_runs import exploding_recording, residual_recording


@pytest.fixture(scope="module")
def run() -> RunView:
    return RunView.of(residual_recording(blocks=1, steps=18).run())


def test_every_channel_is_counted_once_by_its_mean_and_once_by_its_deviation(run: RunView) -> None:
    found = layer_details(run)
    row = found["steps"].index(10)
    for index, (layer, entry) in enumerate(zip(run.layers, found["layers"], strict=True)):
        shown = entry["histograms"][row]
        mean = run.channel_mean[list(run.snapshot).index(10), run.channel_slice(index)]
        low, high = shown["ends"]
        assert sum(shown["means"]) == sum(shown["deviations"]) == layer.channels == len(mean)
        assert shown["broken"] == 0 and low == pytest.approx(min(mean.min(), 0.0), rel=1e-3) and high > 0.999 * mean.max()
        edges = np.linspace(low, high, BINS + 1)
        inner = [np.count_nonzero(np.abs(mean - edge) < 1e-3 * (high - low)) == 0 for edge in edges[1:-1]]
        counts = np.histogram(mean, edges)[0]
        clear = [
            bar for bar in range(1, BINS - 1) if inner[bar - 1] and inner[bar]
        ]  # no channel stands on an edge, which rounding would move
        assert [shown["means"][bar] for bar in clear] == counts[clear].tolist()


def test_bars_are_those_of_numpy() -> None:
    """On values that stand on edges, too, where rounding decides."""
    rng = np.random.default_rng(3)
    ends = np.array([[-1.0, 2.0], [0.0, 0.3], [-7.1, 0.0], [0.0, 1e-300]])
    owner = np.repeat(np.arange(4), 400)
    edges = np.linspace(ends[:, 0], ends[:, 1], BINS + 1, axis=-1)
    at_edge = edges[owner, rng.integers(0, BINS + 1, owner.size)]
    low, high = ends[owner].T
    values = np.where(rng.random(owner.size) < 0.5, at_edge, low + (high - low) * rng.random(owner.size))
    expected = [np.histogram(values[owner == one], BINS, tuple(ends[one]))[0].tolist() for one in range(4)]
    assert subject._counts(values, owner, ends).tolist() == expected


def test_channels_that_are_not_finite_are_told_apart_from_those_that_were_not_stored() -> None:
    made = exploding_recording(blocks=1)
    run = made.run()
    own = RunView.of(run).channel_slice(1)
    mean, variance = (np.array(run.variables[name], dtype="f4") for name in ("channel_mean", "channel_variance"))
    mean[0, own.start], variance[0, own.start] = np.inf, 1.0
    mean[0, own.start + 1] = variance[0, own.start + 1] = np.nan
    changed = RunView.of(replace(run, variables={**run.variables, "channel_mean": mean, "channel_variance": variance}))
    shown = layer_details(changed)["layers"][1]["histograms"][0]
    assert (shown["broken"], sum(shown["means"])) == (1, run.layers[1].channels - 2)
    mean[0, own] = variance[0, own] = np.nan
    changed = RunView.of(replace(run, variables={**run.variables, "channel_mean": mean, "channel_variance": variance}))
    assert layer_details(changed)["layers"][1]["histograms"][0] is None


def test_a_kernel_has_its_slice_mean_at_the_snapshots_that_measured_it(run: RunView) -> None:
    slice_mean = np.full((len(run.snapshot), len(run.parameters)), np.nan)
    ratio = slice_mean.copy()
    slice_mean[1:, 0], ratio[1:, 0] = 0.25, np.inf
    measured = RunView.of(replace(run, variables={**run.variables, "kernel_slice_mean": slice_mean, "kernel_cmrr": ratio}))
    owner = [layer.name for layer in run.layers].index(run.parameters[0].layer)
    entry = layer_details(measured)["layers"][owner]
    assert entry["kernels"] == [
        {
            "name": run.parameters[0].name,
            "steps": run.snapshot[1:].tolist(),
            "slice_mean": [0.25] * (len(run.snapshot) - 1),
            "cmrr": [None] * (len(run.snapshot) - 1),
        }
    ]
    assert not entry["unmeasuredKernel"] and layer_details(run)["layers"][owner]["unmeasuredKernel"]


def test_a_gradient_has_the_histogram_that_was_counted_during_training(run: RunView) -> None:
    columns = {"figure": np.array([4]), "gradient_largest": np.full((1, len(run.parameters)), 3.0)}
    columns |= {"gradient_rms": np.full((1, len(run.parameters)), 0.5)}
    columns |= {
        "bin_step": np.full(81, 4),
        "bin_parameter": np.zeros(81, int),
        "bin_place": np.arange(81)[::-1],
        "bin_count": np.arange(81.0),
    }
    measured = replace(run, variables={**run.variables, **columns}, lengths={**run.lengths, "figure": 1, "bin": 81})
    owner = [layer.name for layer in run.layers].index(run.parameters[0].layer)
    layers = layer_details(RunView.of(measured))["layers"]
    assert layers[owner]["gradient"] == [
        {"name": run.parameters[0].name, "step": 4, "rms": 0.5, "largest": 3.0, "counts": list(range(80, -1, -1))}
    ]
    assert [entry["gradient"] for place, entry in enumerate(layers) if place != owner] == [None] * (len(layers) - 1)


def test_many_layers_and_snapshots_stay_small(run: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_NUMBERS", 3 * 2 * BINS * len(run.layers))
    steps = layer_details(run)["steps"]
    assert (len(steps), steps[0], steps[-1]) == (3, run.snapshot[0], run.snapshot[-1])


def test_a_run_without_a_step_has_no_details() -> None:
    made = residual_recording(blocks=1, steps=1)
    made.snapshots = []
    found = layer_details(RunView.of(made.run()))
    assert found["steps"] == [] and {len(entry["histograms"]) for entry in found["layers"]} == {0}


def test_details_are_json_whatever_the_sizes() -> None:
    found = layer_details(RunView.of(exploding_recording().run()))
    assert json.loads(to_json(found)) == found
