from __future__ import annotations

from collections.abc import Callable

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.colours import RUNS
from bnprobe.report.figures.loss import Limits, loss_limits
from bnprobe.report.figures.overlay import loss_overlay
from tests.synthetic_runs import in_detail_at


def test_each_run_has_its_colour_and_a_divergence_its_cross(analysed: Callable[[str], AnalysedRun]) -> None:
    lost, healthy = analysed("exploding"), analysed("healthy")
    figure = loss_overlay([(0, lost), (2, healthy)], loss_limits([lost, healthy]))
    assert [trace.name for trace in figure.data] == ["exploding", "healthy", "diverged"]
    assert [trace.line.color for trace in figure.data[:2]] == [RUNS[0], RUNS[2]]
    assert list(figure.data[2].x) == [lost.divergence.step]
    assert list(figure.layout.xaxis.range) == [-0.5, 39.5]


def test_losses_of_steps_without_detail_are_drawn(analysed: Callable[[str], AnalysedRun]) -> None:
    run = analysed("healthy").run
    thinned = analyse_runs([in_detail_at(run, (0, 1, 20, 39))])
    figure = loss_overlay([(0, thinned[0])], loss_limits(thinned))
    assert list(figure.data[0].x) == run["step"].tolist()
    assert list(figure.data[0].y) == run["loss"].tolist()


def test_the_cross_of_a_runaway_stays_within_the_axis(analysed: Callable[[str], AnalysedRun]) -> None:
    lost, limits = analysed("exploding"), Limits((0.1, 5.0), (0.0, 0.1))
    assert lost.divergence.loss > limits.loss[1]
    assert list(loss_overlay([(0, lost)], limits).data[-1].y) == [limits.loss[1]]


def test_runs_that_end_well_have_no_cross(analysed: Callable[[str], AnalysedRun]) -> None:
    healthy = analysed("healthy")
    figure = loss_overlay([(0, healthy), (1, healthy)], loss_limits([healthy]))
    assert "diverged" not in [trace.name for trace in figure.data]
