from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.colours import DIVERGING, SEQUENTIAL
from bnprobe.report.figures.channels import MOST_CHANNELS, MOST_SNAPSHOTS, channel_layers, channel_scale, channel_view, channels
from bnprobe.store.reader import read_run
from tests.synthetic_runs import residual_recording

Analysed = Callable[[str], AnalysedRun]


def test_the_layer_that_left_first_is_offered_first(analysed: Analysed) -> None:
    run = analysed("exploding")
    names = channel_layers(run)
    assert names[0] == run.run.layers[run.deviations[0].layer].name
    assert {"conv1", "classifier"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_view_is_the_recorded_channels(analysed: Analysed) -> None:
    run = analysed("exploding").run
    view = channel_view(analysed("exploding"), "conv1", "variance")
    assert view.steps.tolist() == run["snapshot"][:-1].tolist() or view.steps.tolist() == run["snapshot"].tolist()
    place = run.channel_slice(0)
    assert np.allclose(view.values[:, 0], run["channel_variance"][0, place])
    assert view.channels.tolist() == list(range(16))


def test_a_layer_lost_at_a_snapshot_is_not_finite_there(analysed: Analysed) -> None:
    view = channel_view(analysed("exploding"), "classifier", "mean")
    assert view.steps[-1] == 17
    assert view.nonfinite[:, -1].all()
    assert not view.nonfinite[:, :-1].any()


def test_layers_without_snapshots_have_no_view(analysed: Analysed) -> None:
    assert channel_view(analysed("exploding"), "no such layer", "mean") is None
    assert channel_layers(analysed("zero_steps")) == []


def test_wide_layers_and_many_snapshots_are_cut_to_what_matters(tmp_path: Path) -> None:
    made = residual_recording(steps=80)
    made.layers[0]["channels"] = 1000
    made.snapshots = list(range(80))
    view = channel_view(analyse_runs([read_run(made.write(tmp_path / "run.h5"))])[0], "conv1", "variance")
    assert view.values.shape == (MOST_CHANNELS, MOST_SNAPSHOTS)
    assert view.left_out == 1000 - MOST_CHANNELS
    assert view.steps[-1] == 79
    assert view.channels[-1] == 999 and (np.diff(view.channels) > 0).all()


@pytest.mark.parametrize(("moment", "colours"), [("mean", DIVERGING), ("variance", SEQUENTIAL)])
def test_values_on_hover_are_those_of_the_file(analysed: Analysed, moment: str, colours: list) -> None:
    view = channel_view(analysed("exploding"), "pool", moment)
    figure = channels(view, channel_scale([view], moment))
    heat = figure.data[0]
    assert [list(stop) for stop in heat.colorscale] == colours
    assert heat.text[0][0] not in ("", "not finite")
    assert figure.layout.yaxis.title.text == "channel"


def test_means_are_drawn_with_their_sign_and_zero_in_the_middle(analysed: Analysed) -> None:
    view = channel_view(analysed("exploding"), "pool", "mean")
    scale = channel_scale([view], "mean")
    finite = np.isfinite(view.values)
    assert scale.low == -scale.high
    assert scale.position(np.array([0.0]))[0] == 0
    assert (np.sign(scale.position(view.values[finite])) == np.sign(view.values[finite])).all()
    assert np.abs(scale.position(view.values[finite])).max() <= scale.high * (1 + 1e-9)
    places, names = scale.ticks()
    assert sorted(places) == places and len(names) == len(places) and "0" in names


@pytest.mark.parametrize("moment", ["mean", "variance"])
def test_constant_and_empty_channels_have_a_scale(analysed: Analysed, moment: str) -> None:
    view = channel_view(analysed("healthy"), "conv1", moment)
    for values in (np.zeros_like(view.values), np.full_like(view.values, np.nan), np.full_like(view.values, 1e38)):
        still = type(view)(view.steps, view.channels, values, np.zeros(values.shape, dtype=bool), 0)
        scale = channel_scale([still], moment)
        assert scale.low < scale.high
        channels(still, scale)
