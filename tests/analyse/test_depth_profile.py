from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse import depth_profile
from bnprobe.analyse.layers import profile_layers
from bnprobe.store.reader import read_run
from tests.synthetic_runs import residual_recording, thinned, zero_steps


def test_growth_is_the_slope_per_layer_of_one_kind() -> None:
    made = residual_recording(steps=3, blocks=4)
    depth = np.arange(len(made.layers))
    made.activation.rms = np.tile(10 ** (0.1 * depth), (3, 1))  # conv and ReLU alternate: two layers between convolutions
    made.gradient.rms = np.tile(10 ** (-0.05 * depth), (3, 1))
    run = made.run()
    assert depth_profile.growth_along_depth(run) == pytest.approx([0.2] * 3, rel=1e-5)
    assert depth_profile.growth_along_depth(run, "activation_gradient") == pytest.approx([-0.1] * 3, rel=1e-5)


def test_a_level_is_no_growth_and_one_wild_layer_changes_nothing() -> None:
    made = residual_recording(steps=2)
    made.activation.rms[:] = 1e6
    made.activation.rms[:, made.index("stage2.block1.conv1")] = 1e30
    made.activation.rms[1, made.index("stage2.block2.conv1")] = np.inf
    run = made.run()
    assert depth_profile.growth_along_depth(run) == pytest.approx([0.0, 0.0], abs=1e-9)


def test_zero_is_minus_infinity_and_a_gap_is_a_gap() -> None:
    made = residual_recording(steps=2)
    made.activation.rms[0, 3] = 0.0
    made.observed[1] = False
    run = made.run()
    logs = depth_profile.log10_rms(run)
    assert logs[0, 3] == -np.inf
    assert np.isnan(logs[1]).all()


def test_span_names_the_ends_that_were_seen() -> None:
    made = residual_recording(steps=2)
    layers = [made.index(name) for name in ("conv1", "stage3.block3.conv2")]
    depth = np.arange(len(made.layers))
    made.activation.rms = np.tile(10 ** (0.1 * depth), (2, 1))
    made.activation.rms[1, layers[0]] = np.nan
    run = made.run()
    span = depth_profile.span(run, 0)
    assert span is not None
    assert (span.first, span.last) == tuple(layers)
    assert span.decades == pytest.approx(0.2 * (len(profile_layers(run)) - 1), rel=1e-5)
    assert span.last_rms == pytest.approx(10 ** (0.1 * layers[1]), rel=1e-5)
    later = depth_profile.span(run, 1)
    assert later is not None
    assert run.layers[later.first].name == "stage1.block1.conv1"
    assert depth_profile.span(run, 2) is None


def test_runs_without_rows(tmp_path: Path) -> None:
    run = read_run(zero_steps(tmp_path / "zero.h5"))
    assert depth_profile.growth_along_depth(run).shape == (0,)
    assert depth_profile.span(run, 0) is None
    growth = depth_profile.growth_along_depth(read_run(thinned(tmp_path / "thin.h5")))
    assert np.isfinite(growth).nonzero()[0].tolist() == [0, 10, 20, 30, 40, 50]
