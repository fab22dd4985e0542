from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse import units
from bnprobe.store.reader import read_run
from tests.synthetic_runs import dead_units, healthy, residual_recording, zero_steps


def test_lasting_dead_share_is_counted_in_snapshots(tmp_path: Path) -> None:
    run = read_run(dead_units(tmp_path / "run.h5"))
    share = units.lasting_dead_share(run, 5)
    names = [layer.name for layer in run.layers]
    assert share[names.index("stage2.block1.relu1")] == pytest.approx(0.95, abs=0.04)
    assert share[names.index("stage1.block1.relu1")] == 0.0


def test_channels_that_take_turns_are_not_dead() -> None:
    made = residual_recording(steps=10)
    made.snapshots = []
    made.dead[:, 1] = np.where(np.arange(10) % 2 == 0, 0.9, 0.1)
    run = made.run()
    assert units.dead_share(run)[8, 1] == pytest.approx(0.9)
    assert units.lasting_dead_share(run, 5)[1] == pytest.approx(0.1)


def test_gaps_and_empty_runs(tmp_path: Path) -> None:
    assert units.lasting_dead_share(read_run(zero_steps(tmp_path / "zero.h5")), 5).shape == (0,)
    made = residual_recording(steps=3)
    made.observed[:] = False
    assert np.isnan(units.lasting_dead_share(made.run(), 5)).all()
    assert (units.lasting_dead_share(read_run(healthy(tmp_path / "healthy.h5")), 5) == 0).all()


def test_the_slope_left_of_bounded_activations_is_their_mean_derivative() -> None:
    rng = np.random.default_rng(0)
    x = 3 * rng.standard_normal((256, 16))
    made = residual_recording(steps=3)
    places = {"Tanh": 2, "Sigmoid": made.index("classifier") - 1}
    outputs = {"Tanh": np.tanh(x), "Sigmoid": 1 / (1 + np.exp(-x))}
    derivatives = {"Tanh": 1 - outputs["Tanh"] ** 2, "Sigmoid": 4 * outputs["Sigmoid"] * (1 - outputs["Sigmoid"])}
    for kind, place in places.items():
        made.layers[place] |= {"layer_type": kind, "channels": 16}
        made.activation.rms[:, place] = np.sqrt((outputs[kind] ** 2).mean())
    run = made.run()
    channels = run.channel_slice(places["Sigmoid"])
    run["channel_mean"][:, channels] = outputs["Sigmoid"].mean(0)
    run["channel_variance"][:, channels] = outputs["Sigmoid"].var(0)
    slope = units.remaining_slope(run)
    for kind, place in places.items():
        np.testing.assert_allclose(slope[:, place], derivatives[kind].mean(), rtol=1e-5)
    others = np.delete(slope, list(places.values()), axis=1)
    assert np.isnan(others).all()
