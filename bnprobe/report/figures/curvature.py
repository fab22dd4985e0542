"""Sharpness against the optimizer's threshold, above the learning rate in use against the rate that this threshold allows.

The threshold is what a quadratic of that curvature tolerates (Cohen et al. 2021, arXiv 2103.00065). Real runs climb to it and stay there,
so reaching it is no fault and staying far above it is one; the page says so beside the figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.tolerance import settled_limits
from bnprobe.analyse.views import RunView
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, LINE, SECOND_LINE
from bnprobe.report.figures.frame import AXIS, STEPS, moments, new_figure, step_range
from bnprobe.report.figures.scales import shown_value, value_axis
from bnprobe.store.reader import Run

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Probes:
    """The probes of a run that gave a number, N of them; (N,) each.

    Attributes:
        steps: when.
        sharpness: in the optimizer's metric where its threshold is known, else the Hessian's own.
        residual: bound on the distance to an eigenvalue.
        threshold: of the optimizer, NaN where it is not known.
        rate: learning rate in use.
        limit: learning rate at which sharpness and threshold would meet; NaN where the optimizer's second moments are too young to say.
        hessian: the Hessian's own sharpness, NaN where only the optimizer's metric was searched.
        lowest: upper bound of its smallest eigenvalue.
    """

    steps: NDArray[np.int64]
    sharpness: Values
    residual: Values
    threshold: Values
    rate: Values
    limit: Values
    hessian: Values
    lowest: Values


@dataclass(frozen=True)
class Limits:
    """Smallest and largest values to show, of all runs that stand side by side."""

    sharpness: tuple[float, float]
    rate: tuple[float, float]


def probes_of(run: Run) -> Probes | None:
    """Return the probes that gave a number; None where there is none."""
    view = RunView.of(run)
    plain, own = view.curvature_sharpness, view.curvature_preconditioned
    chosen = np.flatnonzero(np.isfinite(plain) | np.isfinite(own))
    if not chosen.size:
        return None
    in_metric = np.isfinite(own)
    sharpness = np.where(in_metric, own, plain)
    residual = np.where(in_metric, view.curvature_preconditioned_residual, view.curvature_residual)
    if in_metric.any():
        # One unit a figure: where the threshold is known at all, what lies before it is in another.
        sharpness, residual = np.where(in_metric, sharpness, np.nan), np.where(in_metric, residual, np.nan)
    columns = (sharpness, residual, view.curvature_threshold, view.curvature_learning_rate, settled_limits(run), plain)
    return Probes(view.curvature[chosen], *(column[chosen] for column in (*columns, view.curvature_lowest)))


def curvature(analysed: AnalysedRun, probes: Probes, limits: Limits | None = None) -> go.Figure:
    """Draw sharpness and threshold, and below them the learning rate and its limit.

    Args:
        analysed: the run.
        probes: its probes.
        limits: ends of the axes, for runs side by side; its own by default.
    """
    limits = limits or curvature_limits([probes])
    layout = {
        "margin": {"t": 50},
        "xaxis": {**STEPS, "range": step_range(analysed), "anchor": "y2"},
        "yaxis": {**AXIS, "title_text": "sharpness", "domain": [0.44, 1], **value_axis(*limits.sharpness, most=5)},
        "yaxis2": {**AXIS, "title_text": "learning rate", "domain": [0, 0.34], **value_axis(*limits.rate, most=3)},
        "legend": {"y": 0.445, "yanchor": "top", "x": 1, "xanchor": "right"},
        **moments(analysed, words=True),
    }
    figure = new_figure(420, layout)
    _add_threshold(figure, probes)
    _add_sharpness(figure, probes)
    _add_rates(figure, probes)
    return figure


def curvature_limits(runs: Sequence[Probes]) -> Limits:
    """Return the ends of the axes over all runs; (0, 1) where nothing is known."""
    return Limits(
        _ends([part for probes in runs for part in (probes.sharpness, probes.threshold)]),
        _ends([part for probes in runs for part in (probes.rate, probes.limit)]),
    )


def _ends(parts: Sequence[Values]) -> tuple[float, float]:
    values = np.concatenate([np.zeros(0), *parts])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _add_threshold(figure: go.Figure, probes: Probes) -> None:
    if np.isfinite(probes.threshold).any():
        figure.add_scatter(
            x=probes.steps,
            y=probes.threshold,
            mode="lines+markers" if len(probes.steps) == 1 else "lines",
            line={"color": SECOND_LINE, "width": 1.5, "dash": "dash", "shape": "hv"},
            name="threshold",
            hoverinfo="skip",
        )


def _add_sharpness(figure: go.Figure, probes: Probes) -> None:
    above = (probes.sharpness > probes.threshold) & np.isfinite(probes.limit)  # under young second moments it means nothing
    figure.add_scatter(
        x=probes.steps,
        y=probes.sharpness,
        error_y={"array": probes.residual, "color": LINE, "thickness": 1, "width": 0},
        mode="lines+markers",
        line={"color": LINE, "width": 1.5},
        marker={
            "size": 5,
            "color": [ALARM if over else LINE for over in above],
            "symbol": ["diamond" if over else "circle" for over in above],
        },
        customdata=[_words(probes, index) for index in range(len(probes.steps))],
        name="sharpness",
        hovertemplate="step %{x}<br>%{customdata}<extra></extra>",
    )


def _words(probes: Probes, index: int) -> str:
    lines = [f"sharpness {shown_value(probes.sharpness[index])}, residual {shown_value(probes.residual[index])}"]
    if np.isfinite(probes.threshold[index]):
        lines += [
            f"threshold {shown_value(probes.threshold[index])}",
            f"learning rate {shown_value(probes.rate[index])}, {_limit_words(float(probes.limit[index]))}",
        ]
    if np.isfinite(probes.hessian[index]):
        if probes.sharpness[index] != probes.hessian[index]:
            lines.append(f"the Hessian's own {shown_value(probes.hessian[index])}")
        lines.append(f"lowest eigenvalue below {shown_value(probes.lowest[index])}")
    return "<br>".join(lines)


def _limit_words(limit: float) -> str:
    return "no limit yet: young second moments" if math.isnan(limit) else f"limit {shown_value(limit)}"


def _add_rates(figure: go.Figure, probes: Probes) -> None:
    if not np.isfinite(probes.rate).any():
        return
    common = {"x": probes.steps, "yaxis": "y2", "hovertemplate": "step %{x}<br>%{y:.4g}"}
    line = {"width": 1.5, "shape": "hv"}
    figure.add_scatter(
        y=probes.rate, mode="lines+markers", marker_size=3, line={**line, "color": SECOND_LINE}, name="rate in use", **common
    )
    bounded = np.where(np.isfinite(probes.limit), probes.limit, np.nan)
    figure.add_scatter(
        y=bounded,
        mode="lines+markers",
        marker={"size": 4, "symbol": "triangle-down"},
        line={"width": 1.5, "color": LINE, "dash": "dot"},
        name="its limit",
        **common,
    )
