"""What all figures share: ground, margins, type size, axes, and the marks of a run's decisive steps.

Grounds are transparent and text has no colour of its own worth keeping: the page's style sheet colours text, grid and ground for light,
dark and print.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import MARK

TEXT = "#777777"
GRID = "rgba(128,128,128,0.25)"

AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "linecolor": GRID,
    "zeroline": False,
    "ticks": "outside",
    "ticklen": 4,
    "tickcolor": GRID,
    "title_standoff": 8,
    "automargin": True,
}


def new_figure(height: int, **layout: Any) -> go.Figure:
    """Return an empty figure in the house's look, ``height`` pixels high and as wide as its place."""
    figure = go.Figure()
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 64, "r": 16, "t": 8, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": TEXT},
        hoverlabel={"font_size": 12, "align": "left"},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "font_size": 12},
        dragmode="zoom",
        **layout,
    )
    return figure


def step_range(analysed: AnalysedRun) -> list[float]:
    """Return the ends of the step axis, the same for every figure over steps, so that they align and zoom together."""
    steps = analysed.run["step"]
    return [float(steps[0]) - 0.5, float(steps[-1]) + 0.5] if len(steps) else [-0.5, 0.5]


def mark_moments(figure: go.Figure, analysed: AnalysedRun, *, words: bool = False) -> None:
    """Draw a line at the step where a layer first left its course and one where the loss was lost.

    Args:
        figure: one with steps along x.
        analysed: the run.
        words: also say which is which.
    """
    first, lost = analysed.first_departure, analysed.divergence
    moments = []
    if first is not None and (lost is None or first.step != lost.step):
        moments.append((first.step, "first layer leaves", "dot", "right"))
    if lost is not None:
        moments.append((lost.step, "diverged", "solid", "right"))
    for step, text, dash, anchor in moments:
        figure.add_shape(
            type="line", x0=step, x1=step, y0=0, y1=1, xref="x", yref="paper", line={"color": MARK, "width": 1.5, "dash": dash}
        )
        if words:
            figure.add_annotation(
                x=step, y=1, xref="x", yref="paper", xanchor=anchor, yanchor="bottom", showarrow=False, text=f"{text}, step {step}"
            )
