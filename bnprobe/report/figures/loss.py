"""Loss above learning rate, over steps, with the moment marked at which the run left its course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, LINE, SECOND_LINE
from bnprobe.report.figures.frame import AXIS, moments, new_figure, step_range
from bnprobe.report.names import figure_text
from bnprobe.report.thinning import envelope
from bnprobe.store.reader import Run

#: Learning rates of more groups than this are drawn, but not named one by one.
MOST_NAMED_GROUPS = 6
#: A loss is drawn on a logarithmic axis from this ratio of its largest to its smallest value on.
LOGARITHMIC_FROM = 20.0
#: Plotly draws powers a quarter larger than other numbers.
POWERS = {"exponentformat": "power", "tickfont_size": 10}


def loss(analysed: AnalysedRun, limits: tuple[float, float] | None = None) -> go.Figure:
    """Draw the loss and the learning rate of every parameter group.

    Args:
        analysed: the run.
        limits: smallest and largest loss to show, for runs side by side; its own by default.
    """
    run = analysed.run
    low, high = limits or loss_limits([analysed])
    logarithmic = low > 0 and high / low >= LOGARITHMIC_FROM
    layout = {
        "margin": {"t": 50},
        "xaxis": {**AXIS, "title_text": "step", "range": step_range(analysed), "anchor": "y2"},
        "yaxis": {**AXIS, "title_text": "loss", "domain": [0.38, 1], **_range(low, high, logarithmic)},
        "yaxis2": {**AXIS, "title_text": "learning rate", "domain": [0, 0.28], **_rate_axis(run)},
        "legend": {"y": -0.18, "yanchor": "top"},
        "hovermode": "x unified",
        **moments(analysed, words=True),
    }
    figure = new_figure(380, layout)
    _draw_loss(figure, run, high)
    _draw_learning_rates(figure, run)
    return figure


def loss_limits(runs: Sequence[AnalysedRun]) -> tuple[float, float]:
    """Return the smallest and largest finite loss of all runs; (0, 1) where there is none."""
    values = np.concatenate([np.zeros(0), *(analysed.run["loss"] for analysed in runs)])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _draw_loss(figure: go.Figure, run: Run, top: float) -> None:
    values, steps = run["loss"], run["step"]
    chosen = envelope(values)
    figure.add_scatter(
        x=steps[chosen],
        y=np.where(np.isfinite(values[chosen]), values[chosen], np.nan),
        mode="lines+markers" if len(chosen) < 60 else "lines",
        marker_size=4,
        line={"color": LINE, "width": 1.5},
        name="loss",
        hovertemplate="%{y:.4g}",
        showlegend=False,
    )
    lost = np.flatnonzero(np.isinf(values) | _lost(run))
    if lost.size:
        lost = lost[np.linspace(0, lost.size - 1, min(lost.size, 200)).astype(int)]
        figure.add_scatter(
            x=steps[lost],
            y=np.full(lost.size, top),
            mode="markers",
            marker={"symbol": "x", "size": 8, "color": ALARM},
            name="loss not finite",
            hovertemplate="not finite",
        )
    skipped = np.flatnonzero(run["skipped"] == 1)[:200]
    if skipped.size:
        figure.add_scatter(
            x=steps[skipped],
            y=values[skipped],
            mode="markers",
            marker={"symbol": "circle-open", "size": 8, "color": SECOND_LINE},
            name="update skipped by the gradient scaler",
            hovertemplate="update skipped",
        )


def _lost(run: Run) -> NDArray[np.bool_]:
    """NaN losses with which the run ended: they were seen, there is no number to show for them."""
    finite = np.flatnonzero(np.isfinite(run["loss"]))
    after = np.arange(run.steps) > (finite[-1] if finite.size else run.steps)
    lost: NDArray[np.bool_] = after & np.isnan(run["loss"])
    return lost


def _draw_learning_rates(figure: go.Figure, run: Run) -> None:
    rates = run["learning_rate"]
    drawn: list[NDArray[Any]] = []
    for group, name in enumerate(run.groups[: rates.shape[1]]):
        rate = rates[:, group]
        if any(np.array_equal(rate, other, equal_nan=True) for other in drawn):
            continue
        drawn.append(rate)
        chosen = envelope(rate)
        figure.add_scatter(
            x=run["step"][chosen],
            y=np.where(np.isfinite(rate[chosen]), rate[chosen], np.nan),
            yaxis="y2",
            mode="lines",
            line={"color": SECOND_LINE, "width": 1.5, "shape": "hv", "dash": ("solid", "dash", "dot", "dashdot")[(len(drawn) - 1) % 4]},
            name=figure_text(f"learning rate, {name}", 40),
            hovertemplate="%{y:.4g}",
            showlegend=1 < len(run.groups) <= MOST_NAMED_GROUPS,
        )


def _rate_axis(run: Run) -> dict[str, Any]:
    rates = run["learning_rate"][np.isfinite(run["learning_rate"])]
    positive = rates[rates > 0]
    if positive.size and positive.max() / positive.min() > LOGARITHMIC_FROM and positive.size == rates.size:
        return {"type": "log", "dtick": max(1, round(float(np.log10(positive.max() / positive.min())) / 3)), **POWERS}
    return {"rangemode": "tozero", "nticks": 4}


def _range(low: float, high: float, logarithmic: bool) -> dict[str, Any]:
    """An axis with a little room at both ends, so that a mark at the top is whole."""
    if logarithmic:
        ends = np.log10([low, high])
        room = 0.06 * (ends[1] - ends[0])
        return {"type": "log", "range": [ends[0] - room, ends[1] + room], "dtick": max(1, round((ends[1] - ends[0]) / 5)), **POWERS}
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - room, high + room]}
