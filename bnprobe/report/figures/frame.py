"""What all figures share: ground, margins, type size, axes, and the marks of a run's decisive steps.

Grounds are transparent and text has no colour of its own worth keeping: the page's style sheet colours text, grid and ground for light,
dark and print.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import MARK, SEAM

TEXT = "#777777"
GRID = "rgba(128,128,128,0.25)"

#: What an axis of names has beside ``AXIS``. Numbers fit into the margins that every figure has; to measure them takes half of the drawing.
NAMES: dict[str, Any] = {"automargin": True}
#: Starts that went on from a checkpoint: so many are drawn, and if there are no more than so many, they are named.
MOST_RESTARTS, MOST_NAMED_RESTARTS = 50, 3

#: Margin beside an axis whose title has two lines.
TITLED_IN_TWO = 86

AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "linecolor": GRID,
    "zeroline": False,
    "ticks": "outside",
    "ticklen": 4,
    "tickcolor": GRID,
    "title_standoff": 8,
    "title_font_size": 12,
    # Margins leave room for labels at an end; plotly would measure every one of them to hide those that stand out of the figure.
    "ticklabeloverflow": "allow",
}
#: The axis of steps, whose numbers leave each other room by themselves; plotly would measure them to see whether to turn them.
STEPS: dict[str, Any] = {**AXIS, "title_text": "step", "tickangle": 0}


def new_figure(height: int, layout: dict[str, Any]) -> go.Figure:
    """Return an empty figure in the house's look, ``height`` pixels high and as wide as its place.

    Args:
        height: in pixels.
        layout: what is this figure's own. Given here and not by ``update_layout``, which takes as long as all else together.
    """
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "font_size": 11}
    house = {
        "template": {},
        "height": height,
        "margin": {"l": 68, "r": 16, "t": 8, "b": 44, **layout.pop("margin", {})},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": TEXT},
        "hoverlabel": {"font_size": 12, "align": "left"},
        "legend": {**legend, **layout.pop("legend", {})},
        "hovermode": "closest",
    }
    return go.Figure(layout=house | layout)


def step_range(analysed: AnalysedRun) -> list[float]:
    """Return the ends of the step axis, the same for every figure over steps, so that they align and zoom together."""
    steps = analysed.run.step
    return [float(steps[0]) - 0.5, float(steps[-1]) + 0.5] if len(steps) else [-0.5, 0.5]


def moments(analysed: AnalysedRun, *, words: bool = False) -> dict[str, Any]:
    """Return the part of a layout that marks where a layer first deviated from its baseline, where training diverged or was started again.

    Args:
        analysed: the run.
        words: also say which is which.
    """
    first, diverged = analysed.first_deviation, analysed.divergence
    found = []
    if diverged is not None:
        found.append((diverged.step, "diverged", "solid"))
    if first is not None and (diverged is None or first.step != diverged.step):
        found.append((first.step, "first layer deviates from its baseline", "dot"))
    low, high = step_range(analysed)
    shapes, annotations = _restarts(analysed), []
    restarts = analysed.run.resumptions
    if 0 < len(restarts) <= MOST_NAMED_RESTARTS:
        found += [(one.step, "resumed", "") for one in restarts]
    for tier, (step, text, dash) in enumerate(found):
        if dash:
            shapes += _line(step, dash)
        # Where a narrow figure has room for it: about as wide as a figure beside two others, words stand over a step in the middle.
        share = (step - low) / (high - low)
        anchor = "left" if share < 1 / 3 else "right" if share > 0.63 else "center"
        # Each on a line of its own, so that close moments do not overlap.
        above = {"x": step, "y": 1, "xref": "x", "yref": "paper", "xanchor": anchor, "yanchor": "bottom", "yshift": 15 * tier}
        annotations.append({**above, "text": f"{text}, step {step}", "showarrow": False, "font_size": 11})
    return {"shapes": shapes, "annotations": annotations if words else []}


def _line(step: float, dash: str, width: float = 1.5) -> list[dict[str, Any]]:
    place = {"type": "line", "x0": step, "x1": step, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
    # A light seam below it keeps the line apart from colours of its own lightness.
    return [{**place, "line": {"color": SEAM, "width": 4}}, {**place, "line": {"color": MARK, "width": width, "dash": dash}}]


def _restarts(analysed: AnalysedRun) -> list[dict[str, Any]]:
    """Thin lines where a start went on from a checkpoint, and a grey ground over the steps that no recording has."""
    shapes: list[dict[str, Any]] = []
    for one in analysed.run.resumptions[-MOST_RESTARTS:]:
        if one.missing:
            ends = {"x0": one.before + 0.5, "x1": one.step - 0.5, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
            shapes.append({"type": "rect", **ends, "fillcolor": GRID, "line": {"width": 0}})
        shapes += _line(one.step - 0.5, "dashdot", 1.0)
    return shapes
