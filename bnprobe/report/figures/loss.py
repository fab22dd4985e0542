"""Loss above learning rate, over steps, with the moment marked at which the run deviated from its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.restarts import without_joins
from bnprobe.analyse.views import RunView
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, LINE, SECOND_LINE
from bnprobe.report.figures.frame import AXIS, STEPS, moments, new_figure, step_range
from bnprobe.report.figures.scales import value_axis
from bnprobe.report.names import figure_text
from bnprobe.report.thinning import envelope
from bnprobe.store.reader import Run

#: Learning rates of more groups than this are drawn, but not named one by one.
MOST_NAMED_GROUPS = 6
WIDE_RATES = 100.0
#: The loss with which a run diverged is shown up to this many times the largest before it.
FURTHEST_LOSS = 1e4


@dataclass(frozen=True)
class Limits:
    """Smallest and largest values to show, of all runs that stand side by side, and how many lines of words stand above any of them."""

    loss: tuple[float, float]
    rate: tuple[float, float]
    lines: int = 0


def loss(analysed: AnalysedRun, limits: Limits | None = None) -> go.Figure:
    """Draw the loss and the learning rate of every parameter group.

    Args:
        analysed: the run.
        limits: ends of the axes, for runs side by side; its own by default.
    """
    limits = limits or loss_limits([analysed])
    marks = moments(analysed, words=True)
    if not np.isfinite(analysed.run.every_loss[1]).any():
        marks["annotations"].append(
            {"text": "no finite loss was observed", "xref": "paper", "x": 0.5, "yref": "y domain", "y": 0.5, "showarrow": False}
        )
    layout = {
        "margin": {"t": 12 + 15 * limits.lines},
        "xaxis": {**STEPS, "range": step_range(analysed), "anchor": "y2"},
        "yaxis": {**AXIS, "title_text": "loss", "domain": [0.38, 1], **value_axis(*limits.loss, most=5)},
        "yaxis2": {**AXIS, "title_text": "learning rate", "domain": [0, 0.28], **value_axis(*limits.rate, most=3)},
        # Between the two, where it takes no room from the figure, so that neighbours stay level.
        "legend": {"y": 0.385, "yanchor": "top", "x": 1, "xanchor": "right"},
        "hovermode": "x unified",
        **marks,
    }
    figure = new_figure(380, layout)
    _draw_loss(figure, analysed.run, limits.loss[1])
    _draw_learning_rates(figure, analysed.run)
    return figure


def loss_limits(runs: Sequence[AnalysedRun]) -> Limits:
    """Return the ends of the axes over all runs: (0, 1) where nothing is known.

    What a loss is after a run has diverged leaves the figure, so that its course until then is seen. A loss that takes both signs has no
    logarithmic axis; there the axis follows its bulk, the 1st to 99th percentile and half as much on either side, and a runaway leaves the
    figure.
    """
    every = [analysed.run for analysed in runs]
    losses = np.concatenate([np.zeros(0), *(_until_lost(analysed) for analysed in runs)])
    rates = np.concatenate([np.zeros(0), *(run.learning_rate.ravel() for run in every)])
    lines = max((len(moments(analysed, words=True)["annotations"]) for analysed in runs), default=0)
    return replace(limits_of(losses, rates), lines=lines)


def _until_lost(analysed: AnalysedRun) -> NDArray[np.float64]:
    """The losses up to the step at which the run diverged, that one cut off where it is far above the others."""
    steps, losses = analysed.run.every_loss
    if analysed.divergence is None:
        return np.asarray(losses, dtype=float)
    before, last = losses[steps < analysed.divergence.step], losses[steps == analysed.divergence.step]
    largest = float(np.abs(before[np.isfinite(before)]).max(initial=0.0))
    return np.concatenate([before, np.minimum(last, FURTHEST_LOSS * largest) if largest > 0 else last])


def limits_of(every_loss: NDArray[Any], every_rate: NDArray[Any]) -> Limits:
    """Return the ends of the axes for some losses and learning rates."""
    losses, rates = _finite(every_loss), _finite(every_rate)
    low, high = float(losses.min()), float(losses.max())
    if low <= 0:
        first, last = (float(end) for end in np.percentile(losses, [1, 99]))
        room = (last - first) / 2 or 1.0
        low, high = max(low, first - room), min(high, last + room)
    smallest, largest = float(rates.min()), float(rates.max())
    is_wide = smallest > 0 and largest / smallest >= WIDE_RATES
    return Limits((low, high), (smallest if is_wide else min(smallest, 0.0), largest))


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    values = values[np.isfinite(values)]
    return values if values.size else np.array([0.0, 1.0])


def loss_line(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return steps and losses to draw a line through: thinned, of all steps, broken where they are not finite or steps are missing."""
    steps, values = run.every_loss
    chosen = envelope(values)
    return without_joins(run, steps[chosen], np.where(np.isfinite(values[chosen]), values[chosen], np.nan))


def _draw_loss(figure: go.Figure, run: Run, top: float) -> None:
    view = RunView.of(run)
    steps, values = run.every_loss
    drawn_steps, drawn = loss_line(run)
    figure.add_scatter(
        x=drawn_steps,
        y=drawn,
        mode="lines+markers" if len(drawn) < 60 else "lines",
        marker_size=4,
        line={"color": LINE, "width": 1.5},
        name="loss",
        hovertemplate="%{y:.4g}",
        showlegend=False,
    )
    nonfinite = np.flatnonzero(np.isinf(values) | _is_nan(values))
    if nonfinite.size:
        nonfinite = nonfinite[np.linspace(0, nonfinite.size - 1, min(nonfinite.size, 200)).astype(int)]
        figure.add_scatter(
            x=steps[nonfinite],
            y=np.full(nonfinite.size, top),
            mode="markers",
            marker={"symbol": "x", "size": 8, "color": ALARM},
            name="loss not finite",
            hovertemplate="not finite",
        )
    skipped = np.flatnonzero(view.skipped == 1)[:200]
    if skipped.size:
        figure.add_scatter(
            x=view.step[skipped],
            y=view.loss[skipped],
            mode="markers",
            marker={"symbol": "circle-open", "size": 8, "color": SECOND_LINE},
            name="update skipped by the gradient scaler",
            hovertemplate="update skipped",
        )


def _is_nan(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """NaN losses with which the run ended: they were seen, there is no number to show for them."""
    finite = np.flatnonzero(np.isfinite(losses))
    after = np.arange(len(losses)) > (finite[-1] if finite.size else len(losses))
    nonfinite: NDArray[np.bool_] = after & np.isnan(losses)
    return nonfinite


def _draw_learning_rates(figure: go.Figure, run: Run) -> None:
    view = RunView.of(run)
    rates = view.learning_rate
    drawn: list[NDArray[Any]] = []
    for group, name in enumerate(run.groups[: rates.shape[1]]):
        rate = rates[:, group]
        if any(np.array_equal(rate, other, equal_nan=True) for other in drawn):
            continue
        drawn.append(rate)
        # Where optimizers take turns, a group has a rate at its own steps alone, and it holds until the next of them.
        known = np.flatnonzero(np.isfinite(rate))
        chosen = known[envelope(rate[known])]
        figure.add_scatter(
            x=view.step[chosen],
            y=rate[chosen],
            yaxis="y2",
            mode="lines",
            line={"color": SECOND_LINE, "width": 1.5, "shape": "hv", "dash": ("solid", "dash", "dot", "dashdot")[(len(drawn) - 1) % 4]},
            name=figure_text(f"learning rate, {name}", 40),
            hovertemplate="%{y:.4g}",
            showlegend=1 < len(run.groups) <= MOST_NAMED_GROUPS,
        )
