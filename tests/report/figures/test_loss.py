from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.figures.loss import loss, loss_limits
from bnprobe.store.reader import Run
from tests.synthetic_runs import in_detail_at

Analysed = Callable[[str], AnalysedRun]


def with_variables(run: Run, **changed: np.ndarray) -> AnalysedRun:
    """Analyse a run anew whose variables were changed."""
    return analyse_runs([replace(run, variables={**run.variables, **changed})])[0]


def test_loss_and_learning_rate_share_the_steps(analysed: Analysed) -> None:
    run = analysed("exploding")
    figure = loss(run)
    line, lost, rate = figure.data
    assert np.array_equal(line.x, run.run["step"])
    assert lost.name == "loss not finite" and lost.x.tolist() == [17]
    assert rate.yaxis == "y2" and set(rate.y) == {0.1}
    assert figure.layout.yaxis.type == "log"
    assert [axis.title.text for axis in (figure.layout.xaxis, figure.layout.yaxis, figure.layout.yaxis2)] == [
        "step",
        "loss",
        "learning rate",
    ]


def test_the_axis_holds_the_losses_of_steps_without_detail(analysed: Analysed) -> None:
    run = analysed("healthy").run
    losses = np.array(run["loss"])
    losses[7] = 100.0
    thinned = analyse_runs([in_detail_at(replace(run, variables={**run.variables, "loss": losses}), (0, 1, 20, 39))])
    assert loss_limits(thinned).loss == (losses.min(), 100.0)


def test_the_moment_is_marked_in_words(analysed: Analysed) -> None:
    run = analysed("exploding")
    words = [annotation.text for annotation in loss(run).layout.annotations]
    assert f"diverged, step {run.divergence.step}" in words
    assert f"first layer deviates from its baseline, step {run.first_deviation.step}" in words


def test_equal_learning_rates_are_drawn_once_and_different_ones_named(analysed: Analysed) -> None:
    run = analysed("healthy")
    rates = np.tile([0.1, 0.1, 0.2], (40, 1))
    groups = ["SGD[0]", "SGD[1]", "<b>SGD</b>[2]"]
    figure = loss(with_variables(replace(run.run, groups=groups), learning_rate=rates))
    drawn = [trace for trace in figure.data if trace.yaxis == "y2"]
    assert [trace.name for trace in drawn] == ["learning rate, SGD[0]", "learning rate, &lt;b&gt;SGD&lt;/b&gt;[2]"]
    assert all(trace.showlegend for trace in drawn)


def test_the_rate_of_an_optimizer_that_takes_turns_is_a_line(analysed: Analysed) -> None:
    rates = np.where(np.arange(40)[:, None] % 2 == [0, 1], [0.1, 0.2], np.nan)
    figure = loss(with_variables(replace(analysed("healthy").run, groups=["Adam[0]", "Adam#2[0]"]), learning_rate=rates))
    for trace, rate, first in zip((trace for trace in figure.data if trace.yaxis == "y2"), (0.1, 0.2), (0, 1), strict=True):
        assert list(trace.y) == [rate] * 20 and list(trace.x) == list(range(first, 40, 2))


def test_runs_side_by_side_share_both_axes(analysed: Analysed) -> None:
    runs = [analysed("exploding"), analysed("healthy")]
    limits = loss_limits(runs)
    one, other = (loss(run, limits) for run in runs)
    assert one.layout.yaxis.range == other.layout.yaxis.range
    assert one.layout.yaxis2.range == other.layout.yaxis2.range


def test_a_loss_of_both_signs_has_a_linear_axis_that_a_runaway_cannot_flatten(analysed: Analysed) -> None:
    values = np.linspace(-1, 1, 40)
    values[20] = 1e12
    figure = loss(with_variables(analysed("healthy").run, loss=values))
    assert figure.layout.yaxis.type is None
    assert figure.layout.yaxis.range[1] < 1e12


def test_a_run_whose_loss_was_never_seen_says_so(analysed: Analysed) -> None:
    figure = loss(with_variables(analysed("healthy").run, loss=np.full(40, np.nan)))
    assert [annotation.text for annotation in figure.layout.annotations] == ["no finite loss was observed"]


def test_what_a_loss_is_after_the_divergence_does_not_press_its_course_flat(analysed: Analysed) -> None:
    run = analysed("healthy").run
    losses = np.array(run["loss"], dtype=float)
    losses[30], losses[31:] = 1e25, 1e30
    lost = with_variables(run, loss=losses)
    assert lost.divergence is not None and lost.divergence.step == 30
    low, high = loss_limits([lost]).loss
    assert low == losses[:30].min()
    assert high / losses[:30].max() == pytest.approx(1e4)
