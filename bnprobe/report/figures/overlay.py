"""The losses of several runs on one axis, each in the colour that is its own on the whole page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, RUNS
from bnprobe.report.figures.frame import AXIS, STEPS, new_figure, step_range
from bnprobe.report.figures.loss import Limits, loss_line
from bnprobe.report.figures.scales import value_axis
from bnprobe.report.names import figure_text

#: Of a name in the legend.
LONGEST_NAME = 40
DASHES = ("solid", "dash", "dot", "dashdot")


def loss_overlay(runs: Sequence[tuple[int, AnalysedRun]], limits: Limits) -> go.Figure:
    """Draw the losses of several runs over each other; a cross where one diverged.

    Args:
        runs: each with its number on the page.
        limits: ends of the axes over all of them.
    """
    ranges = [step_range(analysed) for _, analysed in runs]
    layout = {
        "xaxis": {**STEPS, "range": [min(low for low, _ in ranges), max(high for _, high in ranges)]},
        "yaxis": {**AXIS, "title_text": "loss", **value_axis(*limits.loss, most=5)},
        "margin": {"t": 30},
        "hovermode": "x unified",
    }
    figure = new_figure(260, layout)
    for number, analysed in runs:
        steps, losses = loss_line(analysed.run)
        figure.add_scatter(
            x=steps,
            y=losses,
            mode="lines",
            line={"color": RUNS[number % len(RUNS)], "width": 1.8, "dash": DASHES[number % len(DASHES)]},
            name=figure_text(analysed.label, LONGEST_NAME),
            hovertemplate="%{y:.4g}",
        )
    lost = [analysed.divergence for _, analysed in runs if analysed.divergence is not None]
    if lost:
        heights = [min(one.loss, limits.loss[1]) if np.isfinite(one.loss) else limits.loss[1] for one in lost]
        figure.add_scatter(
            x=[one.step for one in lost],
            y=heights,
            mode="markers",
            cliponaxis=False,
            marker={"symbol": "x", "size": 9, "color": ALARM},
            name="diverged",
            hovertemplate="diverged",
        )
    return figure
