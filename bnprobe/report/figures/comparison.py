"""Compared techniques as figures: what each reaches at its best rate, how its loss depends on the rate, and how its trainings went."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.comparison import Row, loss_of
from bnprobe.report.colours import MARK
from bnprobe.report.figures.frame import AXIS, NAMES, new_figure
from bnprobe.report.figures.limits import LINES, MARKS, ROW_HEIGHT, logarithmic
from bnprobe.report.figures.scales import shown_value, value_axis
from bnprobe.report.names import figure_text
from bnprobe.report.wording import remedy_name
from bnprobe.store.comparison_file import Comparison, Trial

#: Losses of a course are drawn at so many places at most, each the median around it.
_MOST_POINTS = 200
#: Height that a figure's buttons take above it, that of a line of names, and how many names a line holds where figures stand side by side.
BUTTONS, NAMES_LINE, NAMES_ACROSS = 26, 19, 4


def reached(rows: Sequence[Row], title: str, value: Callable[[Trial], float], *, percent: bool = False) -> go.Figure | None:
    """What each technique reached at its best rate: a mark for each seed, a bar for the deviation; None where nothing is known."""
    scale = 100.0 if percent else 1.0
    found = [(row, [scale * value(one) for one in row.whole if math.isfinite(loss_of(one)) and math.isfinite(value(one))]) for row in rows]
    shown = [(row, values) for row, values in found if values]
    if not shown:
        return None
    ends = [end for _, values in shown for end in (min(values), max(values))]
    spread = value_axis(min(ends), max(ends), most=6)
    is_log = spread.get("type") == "log"
    axes = {
        "xaxis": {**AXIS, "title": {"text": title}, **(spread if is_log else {})},
        "yaxis": {
            **AXIS,
            **NAMES,
            "tickvals": list(range(len(shown))),
            "ticktext": [figure_text(remedy_name(row.technique), 30) for row, _ in shown],
            "range": [len(shown) - 0.4, -0.6],
            "gridcolor": "rgba(0,0,0,0)",
        },
    }
    figure = new_figure(
        90 + BUTTONS + ROW_HEIGHT * max(3, len(shown)), {**axes, "margin": {"l": 120, "t": 8 + BUTTONS}, "showlegend": False}
    )
    for place, (row, values) in enumerate(shown):
        mean = float(np.mean(values))
        width = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        text = figure_text(f"{remedy_name(row.technique)}: mean {shown_value(mean)}, standard deviation {shown_value(width)}", 120)
        least = min(values) if is_log else mean - width  # the deviation may be larger than the mean, and such an axis ends above zero
        figure.add_scatter(
            x=[max(mean - width, least), mean + width],
            y=[place, place],
            mode="lines",
            line={"color": MARK, "width": 6},
            opacity=0.45,
            hovertemplate=f"{text}<extra></extra>",
        )
        colour, _ = _line(rows, row)
        figure.add_scatter(
            x=values,
            y=[place] * len(values),
            mode="markers",
            marker={"size": 8, "color": colour, "line": {"width": 1.5, "color": colour}},
            hovertemplate=figure_text(remedy_name(row.technique), 60) + ": %{x:.4g}<extra></extra>",
        )
    return figure


def by_rate(comparison: Comparison, rows: Sequence[Row]) -> go.Figure | None:
    """Training loss at seed 0 against the rate, as tried at full length; what diverged stands at the upper edge."""
    own = comparison.own_rate
    tried = [one for row in rows for one in row.rates]
    losses = [one.final_loss for one in tried if math.isfinite(loss_of(one))]
    if not losses or not 0 < own < math.inf:
        return None
    is_log = min(losses) > 0
    top = max(losses) * 1.5 if is_log else max(losses) + 0.1 * (max(losses) - min(losses) or 1.0)
    axes = {
        "xaxis": {**AXIS, "title": {"text": "learning rate"}, **logarithmic([one.factor * own for one in tried])},
        "yaxis": {**AXIS, "title": {"text": "training loss at the end"}, **(logarithmic([*losses, top]) if is_log else {})},
    }
    figure = new_figure(320 + _above(rows), {**axes, "margin": {"t": 8 + _above(rows)}})
    for row in rows:
        colour, dash = _line(rows, row)
        if not row.rates:
            continue
        ends = sorted(row.rates, key=lambda one: one.grid_index)
        figure.add_scatter(
            x=[one.factor * own for one in ends],
            y=[one.final_loss if math.isfinite(loss_of(one)) else top for one in ends],
            mode="lines+markers",
            line={"color": colour, "width": 1.5, "dash": dash},
            marker={
                "symbol": [MARKS.get(one.outcome, ("circle-open", ""))[0] for one in ends],
                "size": [11 if one.factor == row.factor else 7 for one in ends],
                "color": colour,
                "line": {"width": 1.5, "color": colour},
            },
            name=figure_text(remedy_name(row.technique), 40),
            customdata=[figure_text(f"{one.outcome}; {one.reason}", 120) for one in ends],
            hovertemplate=figure_text(remedy_name(row.technique), 40) + ", rate %{x:.3g}: %{y:.4g}<br>%{customdata}<extra></extra>",
        )
    return figure


def courses(rows: Sequence[Row]) -> go.Figure | None:
    """The training losses at each technique's best rate, seed 0, smoothed."""
    shown = [(row, row.whole[0]) for row in rows if row.whole and len(row.whole[0].loss)]
    losses = np.concatenate([one.loss[np.isfinite(one.loss)] for _, one in shown]) if shown else np.zeros(0)
    if not losses.size:
        return None
    is_log = bool((losses > 0).all())
    axes = {
        "xaxis": {**AXIS, "title": {"text": "step"}},
        "yaxis": {**AXIS, "title": {"text": "training loss, seed 0"}, **(logarithmic(losses) if is_log else {})},
    }
    figure = new_figure(320 + _above(rows), {**axes, "margin": {"t": 8 + _above(rows)}})
    for row, one in shown:
        colour, dash = _line(rows, row)
        steps, values = _smoothed(one)
        line: dict[str, Any] = {"color": colour, "width": 1.6, "dash": dash}
        name = figure_text(remedy_name(row.technique), 40)
        told = f"{name}, step %{{x}}: %{{y:.4g}}<extra></extra>"
        figure.add_scatter(x=steps, y=values, mode="lines", line=line, name=name, hovertemplate=told)
    return figure


def _above(rows: Sequence[Row]) -> int:
    """Height of what stands above a figure with a name for each technique: the buttons, and below them the names, some in a line."""
    return BUTTONS + NAMES_LINE * math.ceil(len(rows) / NAMES_ACROSS)


def _smoothed(trial: Trial) -> tuple[list[float], list[float]]:
    width = max(1, len(trial.loss) // _MOST_POINTS)
    starts = range(0, len(trial.loss), width)
    steps = [float(np.mean(trial.step[start : start + width])) for start in starts]
    chunks = [trial.loss[start : start + width] for start in starts]
    return steps, [float(np.median(chunk[np.isfinite(chunk)])) if np.isfinite(chunk).any() else math.nan for chunk in chunks]


def _line(rows: Sequence[Row], row: Row) -> tuple[str, str]:
    """Colour and dash of a technique: by its place in the table."""
    place = [one.technique for one in rows].index(row.technique)
    colour, dash = LINES[place % len(LINES)]
    return colour, dash if place < len(LINES) else "dot"
