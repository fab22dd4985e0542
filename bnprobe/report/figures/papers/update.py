"""Fig 4: every channel's mean and variance while one update is applied, at three depths."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.layers import TRANSFORMING, largest_model
from bnprobe.analyse.lines import Line, lines
from bnprobe.analyse.tolerance import TAKEN
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import DIVERGING, SEQUENTIAL
from bnprobe.report.figures.channels import ChannelView, Moment, channel_scale
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.line_channels import line_channel_view
from bnprobe.report.figures.scales import shown_value
from bnprobe.report.names import figure_text

#: Depths at which the published figure looks, as shares of its 110 layers.
DEPTHS = (8 / 110, 44 / 110, 80 / 110)
MOMENTS: tuple[Moment, ...] = ("mean", "variance")
#: Space between two pictures, as a share of the figure.
GAP_ACROSS, GAP_UP = 0.2, 0.1


def update(analysed: AnalysedRun, step: int) -> go.Figure:
    """Draw the update of a step, whose channels were measured at equal distances, up to its end."""
    followed = _followed(analysed)[step]
    names = _chosen(analysed)
    height, width = (1 - GAP_UP * (len(names) - 1)) / len(names), (1 - GAP_ACROSS) / 2
    layout: dict[str, Any] = {"margin": {"t": 34, "l": 60, "r": 90}, "showlegend": False}
    annotations: list[dict[str, Any]] = []
    traces: list[go.Heatmap] = []
    for row, name in enumerate(names):
        top = 1 - row * (height + GAP_UP)
        for column, moment in enumerate(MOMENTS):
            view = line_channel_view(analysed, followed, name, moment)
            if view is None:
                continue
            left, suffix = column * (width + GAP_ACROSS), str(len(traces) + 1) if traces else ""
            across = "channel" if row == len(names) - 1 else ""
            up = "" if column else "per cent of the step"
            common = {**AXIS, "showgrid": False}
            ends: dict[str, Any] = {"tickvals": [0, 50, 100], "range": [-5, 105]}
            layout[f"xaxis{suffix}"] = {**common, "domain": [left, left + width], "anchor": f"y{suffix}", "title_text": across}
            layout[f"yaxis{suffix}"] = {**common, "domain": [max(top - height, 0.0), top], "anchor": f"x{suffix}", "title_text": up, **ends}
            bar = {"x": left + width + 0.01, "xanchor": "left", "y": top - height / 2, "len": height * 1.02}
            traces.append(_picture(view, followed, moment, suffix, bar))
            title = f"{figure_text(name, 30)}: channel {moment}s"
            place = {"x": left, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper", "yanchor": "bottom"}
            annotations.append({**place, "text": title, "showarrow": False, "font_size": 11})
    figure = new_figure(170 * len(names) + 60, {**layout, "annotations": annotations})
    figure.add_traces(traces)
    return figure


def _picture(view: ChannelView, followed: Line, moment: Moment, suffix: str, bar: dict[str, Any]) -> go.Heatmap:
    scale = channel_scale([view], moment)
    ticks, texts = scale.ticks()
    return go.Heatmap(
        x=np.arange(len(view.channels)),
        y=100 * followed.s,
        z=np.where(view.nonfinite, np.nan, scale.position(view.values)).T.astype("f4"),
        text=np.vectorize(shown_value, otypes=[object])(view.values).T,
        zmin=scale.low,
        zmax=scale.high,
        xaxis=f"x{suffix}",
        yaxis=f"y{suffix}",
        colorscale=DIVERGING if moment == "mean" else SEQUENTIAL,
        colorbar={**bar, "thickness": 9, "tickvals": ticks, "ticktext": texts, "tickfont": {"size": 10}, "outlinewidth": 0},
        hoverongaps=False,
        hovertemplate=f"channel %{{x}}, %{{y:.0f}} %<br>{moment} %{{text}}<extra></extra>",
    )


def steps_followed(analysed: AnalysedRun) -> list[int]:
    """Return the steps whose updates can be drawn."""
    return list(_followed(analysed))


def _followed(analysed: AnalysedRun) -> dict[int, Line]:
    tenths = np.arange(11) / 10
    found: dict[int, Line] = {}
    for one in lines(analysed.run):
        if one.variant != TAKEN:
            continue
        places = [int(np.argmin(np.abs(one.s - tenth))) for tenth in tenths]
        if np.abs(one.s[places] - tenths).max() < 1e-6 and np.isfinite(analysed.run.probe_channel_mean[one.points[places[0]]]).any():
            found.setdefault(one.step, Line(one.step, one.variant, one.s[places], one.ratio[places], one.points[places]))
    return found


def _chosen(analysed: AnalysedRun) -> list[str]:
    run, model = analysed.run, largest_model(analysed.run)
    own = sorted(
        (one.depth, one.name) for one in run.layers if (one.model, one.call, one.role) == (model, 0, "output") and one.kind in TRANSFORMING
    )
    names = [name for _, name in own]
    return list(dict.fromkeys(names[min(int(share * len(names)), len(names) - 1)] for share in DEPTHS))
