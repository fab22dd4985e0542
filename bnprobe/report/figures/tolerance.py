"""The learning rate in use against every estimate of what a step tolerated, over steps: line probe and curvature on one axis.

Line probe: Bjorck et al. 2018 (arXiv 1806.02375), Fig 3, made a number; curvature: Cohen et al. 2021 (arXiv 2103.00065).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.tolerance import TAKEN, Tolerance
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, LINE, SECOND_LINE
from bnprobe.report.figures.frame import AXIS, STEPS, TEXT, moments, new_figure, step_range
from bnprobe.report.figures.scales import log_ticks, shown_value
from bnprobe.report.names import figure_text
from bnprobe.report.thinning import envelope

CURVATURE = "#8f63c9"
#: Colour and dash of the update as taken and of each projection, the same in every figure and run; others take the last ones in turn.
VARIANTS = {TAKEN: (LINE, "solid"), "msr": ("#0f9d76", "dash"), "gradient-centralisation": ("#c765a0", "dot")}
OTHER_VARIANTS = [("#d55e00", "dashdot"), ("#38a3c4", "longdash")]
#: Share of the step axis between neighbours at one step, so that their bars do not cover each other.
APART = 0.006


def tolerance(analysed: AnalysedRun, limits: tuple[float, float] | None = None) -> go.Figure:
    """Draw all estimates.

    Args:
        analysed: the run.
        limits: ends of the axis in powers of ten, for runs side by side; its own by default.
    """
    found = analysed.tolerances
    low, high = limits or rate_limits([analysed])
    layout = {
        "margin": {"t": 98},
        "xaxis": {**STEPS, "range": step_range(analysed)},
        "yaxis": {**AXIS, "title_text": "learning rate", **_decades(low, high)},
        "legend": {"y": 1.1, "font_size": 11},
        **moments(analysed, words=True),
    }
    figure = new_figure(434, layout)
    _add_rate(figure, analysed)
    styles = styles_of(found)
    for place, ((kind, variant), (colour, dash)) in enumerate(styles.items()):
        apart = (place - (len(styles) - 1) / 2) * APART
        if kind == "curvature":
            _add(figure, analysed, [one for one in found if one.kind == kind], "curvature", colour, dash, "square", apart, (low, high))
            continue
        name = "along the step as taken" if variant == TAKEN else f"with {figure_text(variant, 40)}"
        for kind_shown, symbol in (("rises", "circle"), ("diverges", "triangle-up-open")):
            shown = [one for one in found if (one.kind, one.variant) == (kind_shown, variant)]
            _add(figure, analysed, shown, name if kind_shown == "rises" else "", colour, dash, symbol, apart, (low, high))
    if any(one.kind == "diverges" and one.is_known for one in found):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", marker={"symbol": "triangle-up-open", "size": 8, "color": TEXT}, name="loss × 1000"
        )
    _add_missing(figure, [one for one in found if not one.is_known], low)
    return figure


def styles_of(found: Sequence[Tolerance]) -> dict[tuple[str, str], tuple[str, str]]:
    """Give every estimate with a number its colour and dash, by kind and variant: the line probe's, then the curvature."""
    known = dict.fromkeys((one.kind, one.variant) for one in found if one.is_known)
    styles = {("rises", name): style for name, style in variant_styles([name for kind, name in known if kind == "rises"]).items()}
    if ("curvature", TAKEN) in known:
        styles["curvature", TAKEN] = (CURVATURE, "dashdot")
    return styles


def variant_styles(variants: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give each variant its colour and dash, the update as taken first."""
    names = sorted(dict.fromkeys(variants), key=lambda name: (name != TAKEN, name not in VARIANTS))
    others = [name for name in names if name not in VARIANTS]
    return {name: VARIANTS[name] if name in VARIANTS else OTHER_VARIANTS[others.index(name) % len(OTHER_VARIANTS)] for name in names}


def rate_limits(runs: Sequence[AnalysedRun]) -> tuple[float, float]:
    """Return the ends of the axis over all runs, as powers of ten: the rates in use, and what is known until training diverged.

    What a training that diverged tolerates spans tens of decades and would leave no room for the rest.
    """
    values = []
    for analysed in runs:
        healthy = [one for one in analysed.tolerances if analysed.divergence is None or one.step <= analysed.divergence.step]
        values += [value for one in healthy or analysed.tolerances for value in (*_ends(one), one.rate)]
    values += [float(rate) for analysed in runs for rate in analysed.run.learning_rate.ravel()]
    logs = np.log10([value for value in values if math.isfinite(value) and value > 0] or [0.1, 1.0])
    room = max(0.08 * float(logs.max() - logs.min()), 0.15)
    return float(logs.min()) - room, float(logs.max()) + room


def _ends(one: Tolerance) -> tuple[float, ...]:
    """The ends of an interval that the axis has to show: where nothing is known below, its upper end may be anywhere."""
    return (one.low, one.high) if one.low else ()


def _add_rate(figure: go.Figure, analysed: AnalysedRun) -> None:
    rates = analysed.run.learning_rate
    rates = np.where(np.isfinite(rates), rates, -np.inf).max(axis=1, initial=-np.inf)
    chosen = envelope(rates)
    figure.add_scatter(
        x=analysed.run.step[chosen],
        y=np.where(rates[chosen] > 0, rates[chosen], np.nan),
        mode="lines",
        line={"color": SECOND_LINE, "width": 2.5, "shape": "hv"},
        name="rate in use",
        hovertemplate="step %{x}<br>rate in use %{y:.3g}<extra></extra>",
    )


def _add(
    figure: go.Figure,
    analysed: AnalysedRun,
    shown: Sequence[Tolerance],
    name: str,
    colour: str,
    dash: str,
    symbol: str,
    apart: float,
    limits: tuple[float, float],
) -> None:
    """Draw one series: a mark within each interval and a bar from end to end; an open end is an arrow, and has no bar."""
    shown = [one for one in shown if one.is_known and one.low < math.inf]
    if not shown:
        return
    first, last = step_range(analysed)
    bottom, top = 10 ** limits[0], 10 ** limits[1]
    middle = [min(max(_middle(one), bottom), top) for one in shown]
    closed = [one.low > 0 and math.isfinite(one.high) for one in shown]
    main = bool(name)
    figure.add_scatter(
        x=[one.step + apart * (last - first) for one in shown],
        y=middle,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.high - at if whole else 0.0 for one, at, whole in zip(shown, middle, closed, strict=True)],
            "arrayminus": [at - one.low if whole else 0.0 for one, at, whole in zip(shown, middle, closed, strict=True)],
            "color": colour,
            "thickness": 2 if main else 1,
            "width": 3,
        },
        mode="lines+markers" if main else "markers",
        line={"color": colour, "width": 1.2, "dash": dash},
        marker={"size": 7, "color": colour, "symbol": [symbol if whole else _arrow(one) for one, whole in zip(shown, closed, strict=True)]},
        customdata=[_words(one) for one in shown],
        name=name,
        legendgroup=f"{colour}{dash}",
        showlegend=main,
        cliponaxis=False,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _middle(one: Tolerance) -> float:
    if one.low == 0:
        return one.high
    return math.sqrt(one.low * one.high) if math.isfinite(one.high) else one.low


def _arrow(one: Tolerance) -> str:
    return "arrow-down" if one.low == 0 else "arrow-up"


def _words(one: Tolerance) -> str:
    what = {
        "rises": "the loss of the batch rises from",
        "diverges": "the loss of the batch diverges from",
        "curvature": "curvature allows",
    }[one.kind]
    whose = f"with {figure_text(one.variant, 40)}: " if one.variant != TAKEN else ""
    between = f"{shown_value(one.low)} to {shown_value(one.high)}"
    if one.low == 0:
        between = f"less than {shown_value(one.high)}"
    elif math.isinf(one.high):
        between = f"more than {shown_value(one.low)}"
    return f"step {one.step}<br>{whose}{what} {between}<br>rate in use {shown_value(one.rate)}"


def _add_missing(figure: go.Figure, missing: Sequence[Tolerance], low: float) -> None:
    if missing:
        figure.add_scatter(
            x=[one.step for one in missing],
            y=[10**low] * len(missing),
            mode="markers",
            cliponaxis=False,
            marker={"symbol": "x-thin-open", "size": 8, "color": ALARM, "line": {"width": 1.5, "color": ALARM}},
            customdata=[f"{'curvature' if one.kind == 'curvature' else 'line probe'}: {figure_text(one.reason)}" for one in missing],
            name="no number",
            hovertemplate="step %{x}, no number<br>%{customdata}<extra></extra>",
        )


def _decades(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis with 1, 2, 5 of each decade where there are few of them."""
    return {"type": "log", "range": [low, high], **log_ticks(low, high, most=6)}
