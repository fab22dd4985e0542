"""Trials at scaled learning rates as figures: which survived at which rate, where their losses ended, and how they went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.limits import PROJECTED, Search
from bnprobe.divergence import DIVERGENCE_RATIO
from bnprobe.report.colours import ALARM, MARK
from bnprobe.report.figures.frame import AXIS, NAMES, new_figure
from bnprobe.report.figures.loss import limits_of
from bnprobe.report.figures.scales import log_ticks, shown_value, value_axis
from bnprobe.report.names import figure_text
from bnprobe.report.wording import remedy_name
from bnprobe.store.limits_file import Limits, Trial

#: Colour and dash of the remedies, in the order in which they were tried: none, then others.
LINES = [
    ("#2f7fc1", "solid"),
    ("#d55e00", "dash"),
    ("#0f9d76", "dot"),
    ("#c765a0", "dashdot"),
    ("#c98a00", "longdash"),
    ("#6f7fd0", "solid"),
]
#: Shape and words of an outcome, so that it can be told without its colour.
MARKS = {"trains": ("circle", "trains"), "stuck": ("square-open", "stuck"), "diverges": ("x", "diverges")}
MARK_COLOURS = {"trains": "#0f9d76", "stuck": "#c98a00", "diverges": ALARM}
ROW_HEIGHT = 26


def survival(limits: Limits, found: Sequence[Search]) -> go.Figure:
    """Every trial at its rate, a row for each remedy and seed, and the interval in which each limit lies."""
    own = limits.own_rate
    rows = {(one.remedy, one.seed): place for place, one in enumerate(found)}
    names = [figure_text(f"{remedy_name(one.remedy)}, seed {one.seed}", 40) for one in found]
    axes = {
        "xaxis": _rate_axis(limits),
        "yaxis": {
            **AXIS,
            **NAMES,
            "tickvals": list(rows.values()),
            "ticktext": names,
            "range": [len(rows) - 0.4, -0.6],
            "gridcolor": "rgba(0,0,0,0)",
        },
    }
    figure = new_figure(110 + ROW_HEIGHT * max(3, len(rows)), {**axes, "margin": {"l": 120}})
    for one in found:
        if one.interval is not None and one.interval.is_closed:
            ends = one.interval.scaled(own)
            _bar(
                figure,
                [ends.trains_at, ends.fails_at],
                rows[one.remedy, one.seed],
                f"the limit lies here: {_between(ends.trains_at, ends.fails_at)}",
            )
    for word, (symbol, text) in MARKS.items():
        shown = [trial for trial in limits.trials if trial.outcome == word]
        figure.add_scatter(
            x=[trial.factor * own for trial in shown],
            y=[rows[trial.remedy, trial.seed] for trial in shown],
            mode="markers",
            marker={"symbol": symbol, "size": 9, "color": MARK_COLOURS[word], "line": {"width": 2, "color": MARK_COLOURS[word]}},
            name=text,
            customdata=[_told(trial, own) for trial in shown],
            hovertemplate="%{customdata}<extra></extra>",
        )
    return figure


def _bar(figure: go.Figure, ends: list[float], row: int, text: str) -> None:
    figure.add_scatter(
        x=ends,
        y=[row, row],
        mode="lines",
        line={"color": MARK, "width": 5},
        opacity=0.45,
        name="limit",
        legendgroup="limit",
        showlegend=row == 0,
        hovertemplate=f"{text}<extra></extra>",
    )


def share(limits: Limits, found: Sequence[Search]) -> go.Figure:
    """Share of the seeds that train against the rate; between a seed's two ends nothing is known, and the band says so."""
    own = limits.own_rate
    remedies = list(dict.fromkeys(one.remedy for one in found))
    places = sorted({trial.factor * own for trial in limits.trials if trial.outcome != "failed"})
    axes = {
        "xaxis": _rate_axis(limits),
        "yaxis": {**AXIS, "title": {"text": "share of seeds that train"}, "range": [-0.06, 1.06], "tickformat": ".0%"},
    }
    figure = new_figure(300, axes)
    for number, remedy in enumerate(remedies):
        intervals = [one.interval.scaled(own) for one in found if one.remedy == remedy and one.interval is not None]
        if not intervals:
            continue
        slack = 1 + 1e-9
        sure = [np.mean([one.trains_at * slack >= place for one in intervals]) for place in places]
        possible = [np.mean([place * slack < one.fails_at for one in intervals]) for place in places]
        colour, dash = LINES[number % len(LINES)]
        shared = {"legendgroup": remedy, "mode": "lines", "hovertemplate": "%{y:.0%} at %{x:.3g}"}
        figure.add_scatter(
            x=places,
            y=possible,
            line={"color": colour, "width": 0, "shape": "hv"},
            showlegend=False,
            **{**shared, "hoverinfo": "skip", "hovertemplate": None},
        )
        figure.add_scatter(
            x=places,
            y=sure,
            line={"color": colour, "width": 2, "dash": dash, "shape": "vh"},
            fill="tonexty",
            name=figure_text(remedy_name(remedy), 40),
            **shared,
        )
    return figure


def final_loss(limits: Limits, found: Sequence[Search]) -> go.Figure:
    """The loss at the end of every trial against its rate; what diverged stands at the upper edge."""
    own = limits.own_rate
    ended = [trial for trial in limits.trials if trial.outcome in ("trains", "stuck") and np.isfinite(trial.final_loss)]
    is_log = bool(ended) and all(trial.final_loss > 0 for trial in ended)
    values = [trial.final_loss for trial in ended] or [1.0]
    top = max(values) * 2 if is_log else max(values) + 0.1 * (max(values) - min(values) or 1.0)
    axes = {
        "xaxis": _rate_axis(limits),
        "yaxis": {**AXIS, "title": {"text": "loss, median of the last quarter"}, **(logarithmic([*values, top]) if is_log else {})},
    }
    figure = new_figure(300, axes)
    for number, remedy in enumerate(dict.fromkeys(one.remedy for one in found)):
        colour, dash = LINES[number % len(LINES)]
        mine = sorted(
            (trial for trial in limits.trials if trial.remedy == remedy and trial.outcome != "failed"), key=lambda one: one.grid_index
        )
        places = sorted({trial.grid_index for trial in mine if trial.outcome != "diverges"})
        middle = [float(np.median([t.final_loss for t in mine if t.grid_index == place and t.outcome != "diverges"])) for place in places]
        rates = [next(t.factor for t in mine if t.grid_index == place) * own for place in places]
        name = figure_text(remedy_name(remedy), 40)
        figure.add_scatter(
            x=rates,
            y=middle,
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": dash},
            name=name,
            legendgroup=remedy,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[trial.factor * own for trial in mine],
            y=[top if trial.outcome == "diverges" else trial.final_loss for trial in mine],
            mode="markers",
            marker={
                "symbol": [MARKS[trial.outcome][0] for trial in mine],
                "size": 8,
                "color": colour,
                "line": {"width": 1.5, "color": colour},
            },
            legendgroup=remedy,
            showlegend=False,
            customdata=[_told(trial, own) for trial in mine],
            hovertemplate="%{customdata}<extra></extra>",
        )
    return figure


def predicted(limits: Limits, found: Sequence[Search], remedy: str) -> go.Figure:
    """What the recording at the script's own rate predicted at each step, and, as a band, the interval that trials found."""
    mine = [one for one in limits.predictions if one.remedy == remedy and PROJECTED not in one.estimate]
    limit = next((one.interval.scaled(limits.own_rate) for one in found if (one.remedy, one.seed) == (remedy, 0) and one.interval), None)
    ends = [limit.trains_at, limit.fails_at] if limit is not None and limit.is_closed else []
    values = [value for one in mine for value in (one.low, one.high) if 0 < value < math.inf] + ends
    axes = {
        "xaxis": {**AXIS, "title": {"text": "step of the prediction"}, **_whole_steps([one.step for one in mine])},
        "yaxis": {**AXIS, "title": {"text": "learning rate"}, **logarithmic(values or [1.0])},
    }
    place = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "fillcolor": MARK, "opacity": 0.25, "line_width": 0}
    figure = new_figure(300, {**axes, "shapes": [{**place, "y0": ends[0], "y1": ends[1]}] if ends else []})
    for number, estimate in enumerate(dict.fromkeys(one.estimate for one in mine)):
        shown = [one for one in mine if one.estimate == estimate]
        middle = [_middle(one.low, one.high) for one in shown]
        colour, dash = LINES[number % len(LINES)]
        figure.add_scatter(
            x=[one.step for one in shown],
            y=middle,
            error_y={
                "type": "data",
                "array": [max(0.0, one.high - at) if math.isfinite(one.high) else 0.0 for one, at in zip(shown, middle, strict=True)],
                "arrayminus": [at - one.low for one, at in zip(shown, middle, strict=True)],
                "thickness": 1,
            },
            mode="lines+markers",
            line={"color": colour, "width": 1.5, "dash": dash},
            marker={"size": 6, "color": colour},
            name=figure_text(estimate, 60),
            hovertemplate="%{y:.3g} at step %{x}",
        )
    return figure


def _whole_steps(steps: Sequence[int]) -> dict[str, Any]:
    """An axis on which marks at its ends are whole, and steps have no fractions."""
    first, last = min(steps, default=0), max(steps, default=0)
    room = max(0.5, 0.04 * (last - first))
    return {"range": [first - room, last + room], **({"dtick": 1} if last - first < 6 else {})}


def _middle(low: float, high: float) -> float:
    """A point within an interval, for a logarithmic axis; its known end where the other is open."""
    if not math.isfinite(high):
        return low
    return math.sqrt(low * high) if low > 0 else high


def courses(limits: Limits, remedy: str) -> go.Figure:
    """The losses of a remedy's trials over their steps, slow rates light and fast ones dark, as far as they are finite."""
    own = limits.own_rate
    mine = sorted((trial for trial in limits.trials if trial.remedy == remedy and len(trial.loss)), key=lambda one: one.grid_index)
    grid_indices = sorted({trial.grid_index for trial in mine})
    low, high = limits_of(np.concatenate([np.zeros(0), *(_until_lost(trial) for trial in mine)]), np.zeros(0)).loss
    axes = {"xaxis": {**AXIS, "title": {"text": "step"}}, "yaxis": {**AXIS, "title": {"text": "loss"}, **value_axis(low, high, most=5)}}
    figure = new_figure(300, {**axes, "hovermode": "closest"})
    seen: set[int] = set()
    for trial in mine:
        place = grid_indices.index(trial.grid_index) / max(1, len(grid_indices) - 1)
        finite = np.isfinite(trial.loss)
        figure.add_scatter(
            x=trial.step,
            y=np.where(finite, trial.loss, np.nan),
            mode="lines",
            line={"color": _shade(place), "width": 1.6, "dash": "solid" if trial.outcome == "trains" else "dot"},
            name=shown_value(trial.factor * own),
            legendgroup=str(trial.grid_index),
            showlegend=trial.grid_index not in seen,
            hovertemplate=f"{_told(trial, own)}<br>step %{{x}}: loss %{{y:.4g}}<extra></extra>",
        )
        seen.add(trial.grid_index)
    return figure


def _until_lost(trial: Trial) -> NDArray[np.float64]:
    """The losses of a trial that its figure has room for: what follows a divergence leaves it, so that the others are told apart."""
    finite = trial.loss[np.isfinite(trial.loss)]
    if trial.outcome != "diverges" or not finite.size:
        return np.asarray(finite, dtype=float)
    return np.asarray(finite[np.abs(finite) <= DIVERGENCE_RATIO * abs(finite[0])], dtype=float)


def _rate_axis(limits: Limits) -> dict[str, Any]:
    """The axis of rates, the same for every figure over them: 1, 2, 5 of each decade, fewer where there are many."""
    rates = [trial.factor * limits.own_rate for trial in limits.trials if trial.outcome != "failed"]
    low, high = np.log10([min(rates), max(rates)])
    room = 0.04 * max(high - low, 0.5)
    digits = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [digit * 10.0**place for place in range(math.floor(low - room), math.ceil(high + room) + 1) for digit in digits]
    shown = [tick for tick in ticks if low - room <= math.log10(tick) <= high + room]
    axis = {"type": "log", "title": {"text": "learning rate"}, "range": [low - room, high + room]}
    return {**AXIS, **axis, "tickvals": shown, "ticktext": [shown_value(tick) for tick in shown]}


def logarithmic(values: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
    """What an axis needs to be logarithmic over positive values, with readable ticks."""
    low, high = (float(np.log10(end)) for end in (np.min(values), np.max(values)))
    return {"type": "log", **log_ticks(low, high)}


def _shade(place: float) -> str:
    """A colour between a middle blue and orange, through grey: both show on light and on dark ground."""
    ends = np.array([[0x5C, 0x93, 0xC4], [0x8A, 0x8A, 0x8A], [0xC8, 0x5A, 0x10]], dtype=float)
    mixed = ends[0] + (ends[1] - ends[0]) * 2 * place if place < 0.5 else ends[1] + (ends[2] - ends[1]) * (2 * place - 1)
    return "#" + "".join(f"{round(channel):02x}" for channel in mixed)


def _told(trial: Trial, own: float) -> str:
    return figure_text(
        f"{remedy_name(trial.remedy)}, seed {trial.seed}, rate {trial.factor * own:.3g}: {trial.outcome}; {trial.reason}", 200
    )


def _between(low: float, high: float) -> str:
    return f"{shown_value(low)} to {shown_value(high)}"
