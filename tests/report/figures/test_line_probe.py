from __future__ import annotations

import numpy as np
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.figures.channels import ChannelView
from bnprobe.report.figures.line_channels import channel_line, line_channel_view
from bnprobe.report.figures.line_probe import chosen_lines, line_limits, line_probe
from tests.synthetic_runs import LineProbe, exploding_recording

POINTS = {0.0: 1.0, 0.5: 0.9, 1.0: 1.5, 4.0: 200.0, 8.0: 5000.0, 64.0: np.inf}


def recorded(*lines: LineProbe) -> AnalysedRun:
    made = exploding_recording()
    made.line_probes = list(lines)
    return analyse_runs([made.run()])[0]


def probe(step: int, critical: tuple[float, float] = (0.5, 1.0), **others: object) -> LineProbe:
    return LineProbe(step, 0.1, critical, (4.0, 8.0), points=POINTS, **others)  # type: ignore[arg-type]


def channels(analysed: AnalysedRun, layer: str) -> slice:
    return analysed.run.channel_slice([one.name for one in analysed.run.layers].index(layer))


def test_the_first_the_worst_and_the_last_probe_before_the_divergence_are_chosen() -> None:
    analysed = recorded(probe(1), probe(3), probe(4, (0.1, 0.2)), probe(6), probe(16, (0.01, 0.02)))
    assert list(chosen_lines(analysed)) == ["step 1, first", "step 4, worst", "step 6, last"]
    assert list(chosen_lines(recorded(probe(3)))) == ["step 3, first and last and worst"]
    assert list(chosen_lines(recorded(probe(1, (2.0, 4.0)), probe(3, (1.0, 2.0))))) == [
        "step 1, first",
        "step 3, closest to its limit and last",
    ]


def test_lines_end_where_the_loss_is_not_finite_and_no_earlier_than_the_step() -> None:
    [[line]] = chosen_lines(recorded(probe(3))).values()
    assert line.s.tolist() == [0.0, 0.5, 1.0, 4.0, 8.0]
    early = LineProbe(3, 0.1, (0.0, 0.5), (0.0, 0.5), points={0.0: 1.0, 0.5: np.inf, 1.0: np.inf, 2.0: np.inf})
    [[line]] = chosen_lines(recorded(early)).values()
    assert line.s.tolist() == [0.0, 0.5, 1.0]


def test_a_line_is_drawn_through_its_points_and_what_is_not_finite_stands_on_top() -> None:
    chosen = chosen_lines(recorded(LineProbe(3, 0.1, (0.5, 1.0), (1.0, 2.0), points={0.0: 1.0, 0.5: 0.9, 1.0: 1.5, 2.0: np.inf})))
    figure = line_probe(chosen)
    line = figure.data[0]
    assert list(line.x) == [0.5, 1.0, 2.0]
    assert list(line.y[:2]) == [0.9, 1.5] and line.y[2] == pytest.approx(10 ** figure.layout.yaxis.range[1])
    assert list(line.marker.symbol) == ["circle", "circle", "x"]


def test_projections_share_the_colour_of_their_step_and_have_a_dash_of_their_own() -> None:
    figure = line_probe(chosen_lines(recorded(probe(3), probe(3, variant="msr"), probe(5))))
    taken, projected, later = figure.data[:3]
    assert taken.line.color == projected.line.color != later.line.color
    assert taken.line.dash == later.line.dash != projected.line.dash
    assert [trace.name for trace in figure.data if trace.showlegend is not False][-1] == "with msr"


def test_runs_side_by_side_share_their_axes() -> None:
    one, other = chosen_lines(recorded(probe(3))), chosen_lines(recorded(LineProbe(3, 0.1, (64.0, 99.0), points={0.0: 1.0, 99.0: 2.0})))
    (low, high), (bottom, top) = line_limits([one, other])
    assert low < np.log10(0.5) and high > np.log10(99) and bottom < np.log10(0.9) and top > 3


def test_a_run_without_lines_has_none() -> None:
    assert chosen_lines(recorded()) == {}
    assert chosen_lines(recorded(LineProbe(3, 0.1, reason="no"))) == {}
    assert channel_line(recorded()) is None


@pytest.fixture(scope="module")
def measured() -> AnalysedRun:
    """Channels that grow along the line of step 4, the worst; the last channel of all is not finite where training diverges."""
    made = exploding_recording()
    count = sum(layer["channels"] for layer in made.layers)
    s = np.array(sorted(POINTS))[:, None]
    mean = s * np.arange(count)[None, :] * np.where(np.arange(count) % 2, -1, 1)
    variance = mean**2 + 1
    mean[4, -1] = np.nan
    variance[4, -1] = np.inf
    made.line_probes = [probe(1), probe(4, (0.1, 0.2), channels=(mean, variance)), probe(6, channels=(mean, variance))]
    return analyse_runs([made.run()])[0]


def test_channels_are_shown_for_the_worst_step_in_per_cent_of_it(measured: AnalysedRun) -> None:
    line = channel_line(measured)
    assert line is not None and line.step == 4
    view = line_channel_view(measured, line, "stage1.block1.conv1", "mean")
    assert isinstance(view, ChannelView)
    assert view.steps.tolist() == ["0", "50", "100", "400", "800"]
    place = channels(measured, "stage1.block1.conv1")
    expected = np.arange(place.start, place.stop) * np.where(np.arange(place.start, place.stop) % 2, -1, 1)
    np.testing.assert_allclose(view.values[:, 2], expected)
    np.testing.assert_allclose(view.values[:, 3], 4 * expected)


def test_steps_after_the_loss_was_lost_count_only_without_others() -> None:
    values = np.ones((6, sum(layer["channels"] for layer in exploding_recording().layers)))
    lost = probe(16, (0.001, 0.002), channels=(values, values))
    for others, step in (([probe(3, channels=(values, values))], 3), ([], 16)):
        line = channel_line(recorded(*others, lost))
        assert line is not None and line.step == step


def test_a_channel_that_was_lost_is_marked_in_both_moments(measured: AnalysedRun) -> None:
    line = channel_line(measured)
    assert line is not None
    for moment in ("mean", "variance"):
        view = line_channel_view(measured, line, "classifier", moment)  # type: ignore[arg-type]
        assert view is not None
        assert view.nonfinite[-1].tolist() == [False, False, False, False, True]
        assert not view.nonfinite[:-1].any()


def test_a_layer_that_is_not_there_has_no_view(measured: AnalysedRun) -> None:
    line = channel_line(measured)
    assert line is not None
    assert line_channel_view(measured, line, "elsewhere", "mean") is None
