"""Table 1: how many times larger the contributions to a weight's gradient are than their sum, along depth."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE
from bnprobe.report.figures.frame import AXIS, TEXT, new_figure
from bnprobe.report.figures.papers.tails import row_of, weights_in_depth
from bnprobe.report.names import figure_text


def coherence(analysed: AnalysedRun, step: int) -> go.Figure:
    """Draw sum |d| / |sum d| of every weight at a measured step."""
    run = analysed.run
    row = row_of(run, step)
    weights = weights_in_depth(analysed, run.sign_coherence[row])
    agreement = run.sign_coherence[row, weights].astype(float)
    values = 1.0 / np.where(agreement > 0, agreement, np.nan)  # contributions that cancel have no place on a logarithmic axis
    layout = {
        "xaxis": {**AXIS, "title_text": "weight, in order of depth", "range": [0, len(weights) + 1]},
        "yaxis": {
            **AXIS,
            "title_text": "Σ|d| / |Σd|",
            "type": "log",
            "dtick": 1,
            "range": [-0.05, float(np.log10(np.fmax.reduce(values, initial=10.0))) + 0.1],
        },
        "margin": {"t": 20},
        "shapes": [
            {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": {"color": TEXT, "width": 1, "dash": "dash"}}
        ],
        "annotations": [
            {
                "xref": "x domain",
                "x": 0.01,  # the first weights are those that agree least: the line is free here
                "xanchor": "left",
                "y": 0.0,
                "yanchor": "bottom",
                "text": "all contributions agree",
                "showarrow": False,
                "font_size": 11,
            }
        ],
    }
    figure = new_figure(320, layout)
    figure.add_scatter(
        x=np.arange(1, len(weights) + 1),
        y=values,
        mode="lines+markers",
        line={"color": LINE, "width": 1},
        marker={"size": 6, "color": LINE},
        customdata=[figure_text(run.parameters[weight].name, 40) for weight in weights],
        hovertemplate="%{customdata}<br>contributions %{y:.3g} times their sum<extra></extra>",
        showlegend=False,
    )
    return figure
