from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.colours import ALARM
from bnprobe.report.figures.hatching import MOST_RECTANGLES, draw_nonfinite
from bnprobe.report.figures.heatmap import MOST_CELLS, heat_map
from bnprobe.report.quantities import QUANTITIES

Analysed = Callable[[str], AnalysedRun]


def shown(figure: go.Figure) -> np.ndarray:
    return np.asarray(figure.data[0].z, dtype=float)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.key)
def test_a_map_shows_each_layer_and_step_with_its_unit_and_full_name(analysed: Analysed, quantity) -> None:
    run = analysed("exploding")
    figure = heat_map(run, run.fields[quantity.key])
    trained = {parameter.layer for parameter in run.run.parameters}
    names = [layer.name for layer in run.run.layers if not quantity.of_weights or layer.name in trained]
    assert shown(figure).shape == (len(names), run.run.steps)
    assert [row[0] for row in figure.data[0].customdata] == names
    assert figure.layout.xaxis.title.text == "step"
    assert figure.data[0].colorbar.title.text == quantity.symbol
    assert np.array_equal(figure.data[0].x, np.arange(run.run.steps + 1) - 0.5)
    assert figure.data[0].text[0].tolist() == run.run["step"].tolist()


def test_cells_that_are_not_finite_are_filled_hatched_and_named(analysed: Analysed) -> None:
    run = analysed("exploding")
    figure = heat_map(run, run.fields["activation-rms"])
    fill, hatching = figure.data[1], figure.data[2]
    assert np.isfinite(np.asarray(fill.z, dtype=float)).sum() == run.fields["activation-rms"].nonfinite.sum() > 0
    assert fill.colorscale[0][1] == ALARM
    assert hatching.fillpattern.shape == "x"
    assert "not finite" in hatching.name
    assert figure.layout.showlegend
    assert np.isnan(shown(figure)[run.fields["activation-rms"].nonfinite.T]).all()


def test_what_was_not_observed_is_a_gap_and_is_not_hatched(analysed: Analysed) -> None:
    run = analysed("healthy")
    field = run.fields["activation-rms"]
    values = field.values.copy()
    values[4, 2] = np.nan
    figure = heat_map(run, replace(field, values=values))
    assert np.argwhere(np.isnan(shown(figure))).tolist() == [[2, 4]]
    assert len(figure.data) == 1


def test_an_exact_zero_has_the_darkest_colour_and_says_so(analysed: Analysed) -> None:
    run = analysed("healthy")
    field = run.fields["activation-rms"]
    values = field.values.copy()
    values[4, 2] = -np.inf
    figure = heat_map(run, replace(field, values=values))
    assert figure.data[1].hovertemplate.startswith("exactly 0")
    assert np.asarray(figure.data[1].z).shape == (1, 1)


def test_a_column_stands_until_the_next_measured_step(analysed: Analysed) -> None:
    run = analysed("thinned")
    figure = heat_map(run, run.fields["activation-rms"])
    assert figure.data[0].x.tolist() == [-0.5, 9.5, 19.5, 29.5, 39.5, 49.5, 59.5]
    assert figure.data[0].text[0].tolist() == [0, 10, 20, 30, 40, 50]
    assert figure.layout.xaxis.range == (-0.5, 59.5)


def test_a_colour_bar_says_when_its_end_hides_larger_values(analysed: Analysed) -> None:
    run = analysed("exploding")
    narrow = heat_map(run, run.fields["activation-rms"], limits=(0.0, 3.0)).data[0].colorbar
    wide = heat_map(run, run.fields["activation-rms"], limits=(-10.0, 30.0)).data[0].colorbar
    assert any(text.startswith("≥") for text in narrow.ticktext)
    assert not any(text.startswith(("≥", "≤")) for text in wide.ticktext)
    assert narrow.tickvals[-1] == 3.0


def test_the_moments_are_marked(analysed: Analysed) -> None:
    run = analysed("exploding")
    marked = {shape.x0 for shape in heat_map(run, run.fields["common-mode"]).layout.shapes}
    assert marked == {run.divergence.step, run.first_deviation.step}
    assert not heat_map(analysed("healthy"), analysed("healthy").fields["common-mode"]).layout.shapes


def test_a_long_run_is_thinned_and_keeps_its_spike(analysed: Analysed) -> None:
    run = analysed("healthy")
    layers, steps = len(run.run.layers), 20_000
    variables = {"step": np.arange(steps), "layers_observed": np.ones(steps, dtype=int)}
    long = analyse_runs([replace(run.run, variables=variables, lengths={**run.run.lengths, "step": steps})])[0]
    values = np.zeros((steps, layers))
    values[12_345, 7] = 1.0
    nonfinite = np.zeros((steps, layers), dtype=bool)
    nonfinite[777, 3] = True
    figure = heat_map(long, replace(run.fields["dead-share"], values=values, nonfinite=nonfinite))
    assert shown(figure).size <= MOST_CELLS
    assert np.nanmax(shown(figure)[7]) == 1.0
    assert np.isfinite(np.asarray(figure.data[1].z, dtype=float)).sum() == 1


def test_hatching_stays_bounded_and_covers_every_cell() -> None:
    broken = np.indices((200, 700)).sum(axis=0) % 2 == 0
    figure = go.Figure()
    draw_nonfinite(figure, np.arange(701) - 0.5, broken)
    corners = np.asarray(figure.data[1].x, dtype=float)
    assert len(corners) <= 6 * MOST_RECTANGLES
    assert np.nanmin(corners) == -0.5 and np.nanmax(corners) == 699.5
