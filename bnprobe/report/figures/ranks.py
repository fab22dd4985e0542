"""The loss of every rank of a merged run, over steps."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE, SECOND_LINE
from bnprobe.report.figures.frame import AXIS, STEPS, new_figure, step_range
from bnprobe.report.figures.loss import Limits, limits_of
from bnprobe.report.figures.scales import value_axis
from bnprobe.report.names import figure_text
from bnprobe.report.thinning import envelope
from bnprobe.store.reader import Run

#: Ranks that are drawn; of more, so many that are evenly spread.
MOST_DRAWN = 16


def loss_of_ranks(analysed: AnalysedRun) -> go.Figure:
    """Draw the loss of each rank, thin, and the merged one over them.

    Args:
        analysed: a merged run.
    """
    limits = _limits(analysed)
    figure = new_figure(
        240,
        {
            "xaxis": {**STEPS, "range": step_range(analysed)},
            "yaxis": {**AXIS, "title_text": "loss", **value_axis(*limits.loss, most=5)},
            "hovermode": "x unified",
            "showlegend": False,
        },
    )
    ranks = analysed.run.ranks
    chosen = sorted({int(place) for place in np.linspace(0, len(ranks) - 1, min(len(ranks), MOST_DRAWN))})
    for place in chosen:
        _draw(figure, ranks[place], figure_text(f"rank {ranks[place].attributes.get('rank', place)}"), SECOND_LINE, 1.0)
    _draw(figure, analysed.run, "merged", LINE, 2.0)
    return figure


def _limits(analysed: AnalysedRun) -> Limits:
    """Ends of the axis for the losses of all ranks together."""
    every = np.concatenate([run["loss"] for run in (analysed.run, *analysed.run.ranks)])
    return limits_of(every, analysed.run.learning_rate.ravel())


def _draw(figure: go.Figure, run: Run, name: str, colour: str, width: float) -> None:
    losses = run["loss"]
    shown = envelope(losses)
    figure.add_scatter(
        x=run["step"][shown],
        y=np.where(np.isfinite(losses[shown]), losses[shown], np.nan),
        mode="lines",
        line={"color": colour, "width": width},
        name=name,
        hovertemplate="%{y:.4g}",
    )
