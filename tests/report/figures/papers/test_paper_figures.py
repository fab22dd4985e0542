"""What the figures draw is what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnprobe.numerals import number
from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.figures.papers.coherence import coherence
from bnprobe.report.figures.papers.initialisation import initialisation
from bnprobe.report.figures.papers.line import line
from bnprobe.report.figures.papers.logits import logits
from bnprobe.report.figures.papers.noise import noise
from bnprobe.report.figures.papers.singular import singular
from bnprobe.report.figures.papers.tails import tails
from bnprobe.report.figures.papers.update import update
from bnprobe.report.page import render
from bnprobe.report.paper_figures import PAPER_FIGURES, draw
from bnprobe.store.reader import Run
from tests.synthetic_runs import LineProbe, residual_recording


def measured() -> Run:
    """A residual network of which everything was measured for the figures."""
    made = residual_recording(steps=6)
    channels = sum(layer["channels"] for layer in made.layers)
    tenths = {k / 10: 1 - 0.05 * k for k in range(11)}
    moments = (np.random.default_rng(0).normal(size=(11, channels)), np.ones((11, channels)))
    made.line_probes.append(
        LineProbe(step=0, rate=0.1, critical=(1.0, 2.0), divergence=(8.0, 9.0), points=tenths, loss=2.3, channels=moments)
    )
    run = made.run()
    run.attributes["figures"] = ",".join(figure.key for figure in PAPER_FIGURES)
    weights = len(run.parameters)
    names = ("sign_coherence", "gradient_kurtosis", "gradient_tail_exponent", "gradient_tail_low", "gradient_tail_high", "gradient_rms")
    columns: dict[str, Any] = {name: np.linspace(0.1, 0.9, weights)[None].astype("f4") for name in names}
    columns |= {"gradient_noise": np.full((1, weights), 64.0, "f4"), "gradient_noise_samples": np.full((1, weights), 32.0, "f4")}
    columns |= {"gradient_noise_square": np.full((1, weights), 0.5, "f4")}
    columns |= {"figure": np.array([0]), "gradient_largest": np.full((1, weights), 3.0, dtype="f4")}
    columns |= {"bin_step": np.zeros(81 * weights, int), "bin_parameter": np.repeat(np.arange(weights), 81)}
    columns |= {"bin_place": np.tile(np.arange(81), weights), "bin_count": np.tile(np.arange(81.0), weights)}
    picture = np.full((4, 3), 0.1)
    picture[np.arange(4), [2, 0, 1, 0]] = -0.2
    columns |= {"logit_step": np.zeros(12, int), "logit_samples": np.full(12, 8), "logit_sample": np.repeat(np.arange(4), 3)}
    columns |= {"logit_class": np.tile(np.arange(3), 4), "logit_gradient": picture.ravel()}
    columns |= {"singular_step": np.zeros(3, int), "singular_sample": np.full(3, -1), "singular_value": np.array([3.0, 2.0, 1.0])}
    columns |= {"singular_of": np.array(["product of 3 weights, 3-3-3-3"] * 3, dtype=object)}
    run.variables.update(columns)
    run.lengths.update({"figure": 1, "bin": 81 * weights, "logit": 12, "singular": 3})
    return run


@pytest.fixture(scope="module")
def analysed() -> AnalysedRun:
    (one,) = analyse_runs([measured()])
    return one


def test_a_layer_has_the_median_of_its_channels(analysed: AnalysedRun) -> None:
    figure = initialisation(analysed)
    assert figure is not None
    means = next(trace for trace in figure.data if trace.name and trace.name.startswith("|channel mean|"))
    run = analysed.run
    first = next(i for i, layer in enumerate(run.layers) if layer.kind == "convolution")
    expected = np.median(np.abs(run.channel_mean[0, run.channel_slice(first)].astype(float)))
    assert 10 ** means.y[0] == pytest.approx(expected)


def test_a_histogram_is_a_density(analysed: AnalysedRun) -> None:
    figure = tails(analysed, 0)
    trace = figure.data[0]
    assert np.sum(trace.y) * (trace.x[1] - trace.x[0]) == pytest.approx(1.0)
    assert max(trace.x) < 3.0 / analysed.run.gradient_rms[0, 0]


def test_a_weight_of_few_entries_has_no_range_of_exponents() -> None:
    (one,) = analyse_runs([measured()])
    one.run.gradient_tail_low[:] = np.nan
    figure = tails(one, 0)
    assert not any("NaN" in trace.name for trace in figure.data)


def test_a_line_runs_over_learning_rates(analysed: AnalysedRun) -> None:
    figure = line(analysed)
    assert figure is not None
    assert figure.data[0].x[0] == pytest.approx(0.1 * 0.1)
    assert figure.data[0].y[-1] == pytest.approx(0.5)


def test_an_update_has_three_depths_and_two_moments(analysed: AnalysedRun) -> None:
    figure = update(analysed, 0)
    assert len(figure.data) == 6
    assert np.allclose(figure.data[0].y, np.arange(0, 101, 10))


def test_samples_stand_by_their_label_and_gradients_are_those_of_a_sample(analysed: AnalysedRun) -> None:
    figure = logits(analysed, 0)
    picture = np.array(figure.data[0].z)
    assert np.argmin(picture, axis=1).tolist() == [0, 0, 1, 2]
    assert picture.min() == pytest.approx(-0.2 * 8)


def test_coherence_is_drawn_as_its_inverse(analysed: AnalysedRun) -> None:
    figure = coherence(analysed, 0)
    assert max(figure.data[0].y) == pytest.approx(10.0, rel=1e-6)


def test_noise_is_that_of_the_batch(analysed: AnalysedRun) -> None:
    figure = noise(analysed, 0)
    square, scatter, told = figure.data
    weights = len(square.y)
    assert np.allclose(square.y, 0.5) and np.allclose(scatter.y, 64 / 32)
    rate = float(analysed.run.learning_rate[0, 0])
    assert scatter.name.endswith(f"C = {number(64.0 * weights)}")
    assert told.name == f"lr²/|B| = {number(rate**2 / 32)}; lr²C/|B| = {number(rate**2 * 2.0 * weights)}"


def test_singular_values_stand_in_units_of_their_rms_beside_the_edge(analysed: AnalysedRun) -> None:
    figure = singular(analysed, 0)
    assert figure.data[0].y[0] == pytest.approx(3 / np.sqrt(14 / 3))
    assert figure.layout.shapes[0].y0 == pytest.approx(3.08, abs=0.005)


@pytest.mark.parametrize(("value", "word"), [(0.0, "all zero"), (np.nan, "not finite"), (np.inf, "not finite")])
def test_a_matrix_without_a_scale_stands_in_the_legend_alone(value: float, word: str) -> None:
    """The weight of a head that starts at zero."""
    (one,) = analyse_runs([measured()])
    one.run.variables["singular_value"] = np.full(3, value)
    figure = singular(one, 0)
    (trace,) = figure.data
    assert trace.name == f"product of 3 weights, 3-3-3-3; {word}" and trace.showlegend
    assert not figure.layout.shapes


def test_a_sample_whose_jacobian_is_zero_does_not_hide_the_others() -> None:
    (one,) = analyse_runs([measured()])
    jacobians = {"singular_sample": np.repeat([0, 1], 3), "singular_value": np.array([0.0, 0.0, 0.0, 3.0, 2.0, 1.0])}
    jacobians |= {"singular_step": np.zeros(6, int), "singular_of": np.array(["Jacobian of the outputs"] * 6, dtype=object)}
    one.run.variables.update(jacobians)
    figure = singular(one, 0)
    (trace,) = figure.data
    assert trace.showlegend and trace.y[0] == pytest.approx(3 / np.sqrt(14 / 3))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("figure", PAPER_FIGURES, ids=lambda figure: figure.key)
def test_a_measurement_of_nothing_loses_no_report(figure: Any, value: float) -> None:
    """All that was measured is zero, or not finite; a gradient of zeros has no tails, and nothing a number of samples of zero."""
    run = measured()
    for name, array in run.variables.items():
        if array.dtype.kind == "f" and name != "gradient_noise_samples":
            run.variables[name] = np.full_like(array, value if name != "gradient_kurtosis" else np.nan)
    (one,) = analyse_runs([run])
    assert all(drawn.to_json() for drawn in figure.draw(one).values())


@pytest.mark.parametrize("draw", [figure.draw for figure in PAPER_FIGURES if figure.key != "init"])
def test_what_was_not_measured_is_not_drawn(draw: Callable[[AnalysedRun], Any]) -> None:
    (plain,) = analyse_runs([residual_recording(steps=6).run()])
    assert draw(plain) == {}


def test_runs_side_by_side_stand_on_one_scale() -> None:
    one, other = analyse_runs([measured(), measured()])
    other.run.channel_mean[0] *= 1e4
    figures = draw(PAPER_FIGURES[0], [one, other])
    ends = [figure.layout.yaxis.range for by_step in figures for figure in by_step.values()]
    assert len(ends) == 2
    assert ends[0] == ends[1]
    assert ends[0][1] > 3


def test_a_figure_is_shown_at_the_first_step_and_at_the_last_that_were_measured() -> None:
    run = measured()
    for name, array in run.variables.items():
        if name == "sign_coherence" or (name.startswith("gradient_") and len(array) == 1):
            run.variables[name] = np.repeat(array, 6, axis=0)
            run.variables[name][5 if name == "sign_coherence" else 1 :] = np.nan  # from step 5 on the training has diverged
    run.variables["figure"] = np.array([0, 1, 2, 3, 4, 5])
    run.lengths["figure"] = 6
    (one,) = analyse_runs([run])
    figure = next(one for one in PAPER_FIGURES if one.key == "coherence")
    assert list(figure.draw(one)) == [0, 2, 3, 4]
    page = render([run])
    assert 'id="paper-coherence-0"' in page and 'id="paper-coherence-0-3"' in page and 'id="paper-coherence-0-4"' not in page
    assert "<span>step 4</span>" in page and "<span>step 5</span>" not in page


def test_the_page_has_those_that_were_asked_for() -> None:
    page = render([measured()])
    assert page.count('class="paper" id="paper-') == len(PAPER_FIGURES)
    assert '<section id="papers">' not in render([residual_recording(steps=6).run()])
