"""Fig 3: the loss of chosen mini-batches along their own update, over the loss before it, against the size of the step."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.lines import Line, lines
from bnprobe.analyse.tolerance import TAKEN
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE, MARK
from bnprobe.report.figures.frame import AXIS, TEXT, new_figure
from bnprobe.report.figures.scales import shown_value

COLOURS = (LINE, MARK, "#0f9d76", "#c765a0")
#: Ends of the axis of relative losses, as powers of ten, and the lines that are drawn. It goes further down where a line does, to a limit.
LOWEST, HIGHEST = -2.0, 6.0
DEEPEST = -6.0
MOST_STEPS = 4


def line(analysed: AnalysedRun) -> go.Figure | None:
    """Draw the lines of the first steps that were followed, as taken and with the projection of mean shift rejection; None without one."""
    run = analysed.run
    found = [one for one in lines(run) if one.variant in (TAKEN, "msr")]
    steps = list(dict.fromkeys(one.step for one in found))[:MOST_STEPS]
    if not steps:
        return None
    lowest = min(float(np.min(one.ratio[one.ratio > 0], initial=1.0)) for one in found if one.step in steps)
    low = max(DEEPEST, min(LOWEST, float(np.floor(np.log10(lowest)))))
    rates = {int(step): float(rate) for step, rate in zip(run.probe_step, run.probe_learning_rate, strict=True)}
    layout = {
        "xaxis": {
            **AXIS,
            "title_text": "step size, as a learning rate along the update",
            "type": "log",
            "exponentformat": "power",
            "dtick": 1,
        },
        "yaxis": {
            **AXIS,
            "title_text": "loss over the loss before",
            "type": "log",
            "exponentformat": "power",
            "dtick": 1,
            "range": [low, HIGHEST],
        },
        "margin": {"t": 64},
        "shapes": [
            {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": {"color": TEXT, "width": 1, "dash": "dash"}}
        ],
    }
    figure = new_figure(400, layout)
    in_use = np.log10(rates[steps[0]]) if rates[steps[0]] > 0 else 0.0
    figure.add_shape(
        type="line", yref="y domain", y0=0, y1=1, x0=10**in_use, x1=10**in_use, line={"color": TEXT, "width": 1, "dash": "dash"}
    )
    words = {"text": "rate in use", "showarrow": False, "font_size": 11, "xanchor": "left", "xshift": 3}
    figure.add_annotation(x=in_use, y=1, yref="paper", yanchor="top", **words)
    for colour, step in zip(COLOURS, steps, strict=False):
        for one in (one for one in found if one.step == step):
            _add(figure, one, rates[step], colour, 10**low)
    figure.add_scatter(
        x=[None], y=[None], mode="lines", line={"color": TEXT, "width": 1.2, "dash": "dot"}, name="with mean shift rejection"
    )
    return figure


def _add(figure: go.Figure, one: Line, rate: float, colour: str, bottom: float) -> None:
    shown = one.s > 0
    x, ratio = one.s[shown] * rate, one.ratio[shown]
    top = 10**HIGHEST
    end = int(np.flatnonzero(~(ratio <= top))[0]) + 1 if (~(ratio <= top)).any() else len(ratio)
    x, ratio = x[:end], ratio[:end]
    is_taken = one.variant == TAKEN
    name = f"mini-batch {one.step + 1}"
    figure.add_scatter(
        x=x,
        y=np.clip(np.where(np.isfinite(ratio), ratio, top), bottom, top),
        mode="lines",
        line={"color": colour, "width": 2 if is_taken else 1.4, "dash": "solid" if is_taken else "dot"},
        customdata=[
            f"rate {shown_value(float(at))}<br>{shown_value(float(value))} times the loss" for at, value in zip(x, ratio, strict=True)
        ],
        name=name,
        showlegend=is_taken,
        hovertemplate=f"{name}{'' if is_taken else ', with msr'}<br>%{{customdata}}<extra></extra>",
    )
