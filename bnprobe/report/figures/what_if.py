"""The losses of a stretch trained again at several rates, a field for the training as it is and one for a remedy, on one scale."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.what_if import NONE, RemedyAnswer, Retrained, WhatIf
from bnprobe.numerals import number
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.scales import value_axis

#: Remedies that have a field, in order.
SHOWN = (NONE, "msr")
#: Colour and dash from the slowest rate to the fastest: lightness falls, so that they are told apart in grey, too.
STYLES = (("#8a8a8a", "dot"), ("#38a3c4", "dash"), ("#2f7fc1", "solid"), ("#c98a00", "dash"), ("#d55e00", "dot"))
#: A loss of so many times the first is drawn at the edge: what leaves the figure has diverged.
HIGHEST = 10.0


def what_if_figure(found: WhatIf) -> go.Figure:
    """Draw the loss over the steps of the stretch, at rates around the script's own."""
    fields = [found.remedies[name] for name in SHOWN if name in found.remedies]
    chosen = {answer.remedy: curves(answer) for answer in fields}
    losses = np.concatenate([one.losses for trials in chosen.values() for one in trials] or [np.zeros(1)])
    losses = losses[np.isfinite(losses)]
    first = next((float(one.losses[0]) for trials in chosen.values() for one in trials if one.losses.size), 1.0)
    top = min(float(losses.max()), HIGHEST * first) if first > 0 else float(losses.max())
    low = float(losses.min())
    layout: dict[str, object] = {"margin": {"t": 46}, "hovermode": "x unified"}
    width = 1.0 / max(len(fields), 1)
    annotations = []
    for place, answer in enumerate(fields):
        suffix = "" if place == 0 else str(place + 1)
        ends = [place * width + (0.02 if place else 0.0), (place + 1) * width - (0.02 if place + 1 < len(fields) else 0.0)]
        layout[f"xaxis{suffix}"] = {**AXIS, "title_text": "step of the stretch", "domain": ends, "anchor": f"y{suffix}"}
        layout[f"yaxis{suffix}"] = {
            **AXIS,
            "title_text": "" if place else "loss",
            "anchor": f"x{suffix}",
            "showticklabels": not place,
            **value_axis(low, max(top, low), most=5),
        }
        title = "no remedy" if answer.remedy == NONE else f"with {answer.remedy}"
        annotations.append({"text": title, "xref": f"x{suffix} domain", "x": 0.5, "yref": "paper", "y": 1.0, "yanchor": "bottom"})
    layout["annotations"] = [{**one, "showarrow": False, "font_size": 12} for one in annotations]
    layout["legend"] = {"y": -0.22, "yanchor": "top"}
    figure = new_figure(360, layout)
    for place, answer in enumerate(fields):
        _draw(figure, chosen[answer.remedy], place)
    return figure


def curves(answer: RemedyAnswer) -> list[Retrained]:
    """Return the trainings that are drawn: at the script's own rate, and at the rates that were trained for the curves."""
    return [one for one in answer.trials if not one.on_grid or one.factor == 1.0][: len(STYLES)]


def _draw(figure: go.Figure, trials: list[Retrained], place: int) -> None:
    suffix = "" if place == 0 else str(place + 1)
    offset = 0 if any(one.factor < 1.0 for one in trials) else 2
    for (colour, dash), one in zip(STYLES[offset:], trials, strict=False):
        words = f"rate {number(one.rate)}" + (" (the script's own)" if one.factor == 1.0 else "")
        figure.add_scatter(
            x=np.arange(len(one.losses)),
            y=np.where(np.isfinite(one.losses), one.losses, np.nan),
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": dash},
            name=words,
            legendgroup=words,
            showlegend=place == 0,
            hovertemplate=f"{one.outcome} %{{y:.4g}}",
            xaxis=f"x{suffix}",
            yaxis=f"y{suffix}",
        )
