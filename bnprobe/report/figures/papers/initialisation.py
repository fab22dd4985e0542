"""Fig 5: channel means and deviations along depth before the first update."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.layers import TRANSFORMING, largest_model
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE, MARK
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.scales import shown_value
from bnprobe.report.names import figure_text

Array = NDArray[np.float64]
#: Parts of the channels of a layer between which its band lies.
BAND = (10.0, 90.0)


def initialisation(analysed: AnalysedRun) -> go.Figure | None:
    """Draw |mean| and deviation of the channels of every layer with weights at step 0; None where they were not stored."""
    run = analysed.run
    stored = np.flatnonzero(run.snapshot == 0)
    model = largest_model(run)
    own = [
        (i, one) for i, one in enumerate(run.layers) if (one.model, one.call, one.role) == (model, 0, "output") and one.kind in TRANSFORMING
    ]
    layers = [i for i, _ in sorted(own, key=lambda pair: pair[1].depth)]
    if not stored.size or len(layers) < 2:
        return None
    row = int(stored[0])
    means = [np.abs(run.channel_mean[row, run.channel_slice(i)].astype(float)) for i in layers]
    deviations = [np.sqrt(run.channel_variance[row, run.channel_slice(i)].astype(float)) for i in layers]
    layout = {
        "xaxis": {**AXIS, "title_text": "layer with weights, in order of depth", "range": [0, len(layers) + 1]},
        "yaxis": {**AXIS, "title_text": "log₁₀ of |channel mean|, deviation"},
        "margin": {"t": 30},
    }
    figure = new_figure(340, layout)
    names = [figure_text(run.layers[i].name, 40) for i in layers]
    for values, colour, fill, name in (
        (means, LINE, "rgba(47,127,193,0.18)", "|channel mean|"),
        (deviations, MARK, "rgba(213,94,0,0.18)", "deviation"),
    ):
        _add(figure, values, names, colour, fill, name)
    return figure


def _add(figure: go.Figure, values: list[Array], names: list[str], colour: str, fill: str, name: str) -> None:
    bands = np.array([_band(one) for one in values])
    depth = np.arange(1, len(values) + 1)
    figure.add_scatter(x=depth, y=bands[:, 0], mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=depth, y=bands[:, 2], mode="lines", line={"width": 0}, fill="tonexty", fillcolor=fill, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=depth,
        y=bands[:, 1],
        mode="lines",
        line={"color": colour, "width": 2},
        customdata=[f"{layer}<br>{name} {shown_value(10**value)}" for layer, value in zip(names, bands[:, 1], strict=True)],
        name=f"{name}, median of the channels",
        hovertemplate="%{customdata}<extra></extra>",
    )


def _band(values: Array) -> Array:
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return np.full(3, np.nan)
    low, high = np.percentile(known, BAND)
    return np.log10([low, float(np.median(known)), high])
