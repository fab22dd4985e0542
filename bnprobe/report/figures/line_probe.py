"""The loss along a step and beyond it, r(s) = L(theta + s d) / L(theta): of the first, the worst and the last probe.

Bjorck et al. 2018 (arXiv 1806.02375), Fig 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.lines import Line, lines
from bnprobe.analyse.tolerance import TAKEN, closest, select
from bnprobe.divergence import DIVERGENCE_RATIO
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, LINE, MARK
from bnprobe.report.figures.frame import AXIS, TEXT, new_figure
from bnprobe.report.figures.scales import log_ticks, shown_value
from bnprobe.report.figures.tolerance import variant_styles
from bnprobe.report.names import figure_text

#: Colours of the steps.
COLOURS = (LINE, MARK, "#0f9d76")


def chosen_lines(analysed: AnalysedRun) -> dict[str, list[Line]]:
    """Return the lines of the first, the worst and the last probed step before training diverged, by what to call the step.

    The worst is the one whose rate exceeds its limit most, or comes closest to it.
    """
    diverged = analysed.divergence.step if analysed.divergence is not None else None
    taken = [one for one in select(analysed.tolerances, "rises", before=diverged) if one.is_known]
    worst = closest(taken)
    if worst is None:
        return {}
    shown = {one.variant for one in analysed.tolerances}
    found = [line for line in lines(analysed.run) if line.variant in shown]
    roles: dict[int, list[str]] = {}
    for step, role in sorted(
        [(taken[0].step, "first"), (worst.step, "worst" if worst.is_exceeded else "closest to its limit"), (taken[-1].step, "last")]
    ):
        roles.setdefault(step, []).append(role)
    named = {f"step {step:,}, {' and '.join(words)}": step for step, words in roles.items()}
    chosen = {name: [line.until(DIVERGENCE_RATIO) for line in found if line.step == step] for name, step in named.items()}
    return {name: kept for name, kept in chosen.items() if kept}


def line_probe(chosen: dict[str, list[Line]], limits: tuple[list[float], list[float]] | None = None) -> go.Figure:
    """Draw the lines.

    Args:
        chosen: lines by the name of their step.
        limits: ends of both axes in powers of ten, for runs side by side; its own by default.
    """
    across, up = limits or line_limits([chosen])
    layout = {
        "margin": {"t": 64},
        "xaxis": {**AXIS, "title_text": "s, in steps as taken", **_decades(across)},
        "yaxis": {**AXIS, "title_text": "r(s), loss over the loss before", **_decades(up)},
        "shapes": [_rule(y=1.0), _rule(y=DIVERGENCE_RATIO), _rule(x=1.0)],
        "annotations": [
            _word("as before the step", y=1.0, yanchor="top"),
            _word("diverged", y=DIVERGENCE_RATIO, yanchor="bottom"),
            {**_word("the step taken", yanchor="bottom"), "xref": "x", "x": 0.0, "xanchor": "left", "yref": "paper", "y": 0.0},
        ],
    }
    figure = new_figure(360, layout)
    dashes = {name: dash for name, (_, dash) in variant_styles(line.variant for kept in chosen.values() for line in kept).items()}
    for colour, (name, kept) in zip(COLOURS, chosen.items(), strict=False):
        for line in kept:
            _add(figure, line, name, colour, dashes[line.variant], up)
    for name, dash in dashes.items():
        if name != TAKEN:
            line_only = {"color": TEXT, "width": 1.2, "dash": dash}
            figure.add_scatter(x=[None], y=[None], mode="lines", line=line_only, name=f"with {figure_text(name, 40)}")
    return figure


def line_limits(runs: Sequence[dict[str, list[Line]]]) -> tuple[list[float], list[float]]:
    """Return the ends of both axes over all runs, as powers of ten; r = 1, r = 1000 and s = 1 are always in sight."""
    kept = [line for chosen in runs for found in chosen.values() for line in found]
    s = np.concatenate([[0.5, 2.0], *(line.s for line in kept)])
    ratio = np.concatenate([[0.9, DIVERGENCE_RATIO], *(line.ratio for line in kept)])
    return _ends(s[s > 0], None), _ends(ratio[ratio > 0], 3 * DIVERGENCE_RATIO)


def _ends(values: np.typing.NDArray[np.float64], most: float | None) -> list[float]:
    logs = np.log10(values[np.isfinite(values)])
    low, high = float(logs.min()), float(logs.max())
    room = 0.04 * (high - low)
    return [low - room, high + room if most is None else float(np.log10(most))]


def _add(figure: go.Figure, line: Line, name: str, colour: str, dash: str, up: list[float]) -> None:
    seen = line.s > 0
    s, ratio = line.s[seen], line.ratio[seen]
    low, high = 10 ** up[0], 10 ** up[1]
    beyond = ~(ratio <= high)
    is_taken = line.variant == TAKEN
    whose = "" if is_taken else f", with {figure_text(line.variant, 40)}"
    figure.add_scatter(
        x=s,
        y=np.clip(np.where(np.isfinite(ratio), ratio, high), low, high),
        mode="lines+markers",
        line={"color": colour, "width": 2 if is_taken else 1.2, "dash": dash},
        marker={
            "size": [8 if out else 6 if is_taken else 4 for out in beyond],
            "color": [ALARM if np.isinf(value) else colour for value in ratio],
            "symbol": ["x" if np.isinf(value) else "triangle-up" if out else "circle" for value, out in zip(ratio, beyond, strict=True)],
        },
        customdata=[f"s = {shown_value(at)}<br>r = {shown_value(value)}" for at, value in zip(s, ratio, strict=True)],
        name=name,
        legendgroup=name,
        showlegend=is_taken,
        cliponaxis=False,
        hovertemplate=f"{name}{whose}<br>%{{customdata}}<extra></extra>",
    )


def _rule(x: float | None = None, y: float | None = None) -> dict[str, Any]:
    ends: dict[str, Any] = (
        {"xref": "x domain", "x0": 0, "x1": 1, "y0": y, "y1": y} if x is None else {"yref": "y domain", "y0": 0, "y1": 1, "x0": x, "x1": x}
    )
    return {"type": "line", "line": {"color": TEXT, "width": 1, "dash": "dash"}, **ends}


def _word(text: str, y: float = 1.0, yanchor: str = "top") -> dict[str, Any]:
    at = {"xref": "x domain", "x": 0, "xanchor": "left", "yref": "y", "y": float(np.log10(y)), "yanchor": yanchor}
    return {**at, "text": text, "showarrow": False, "font_size": 11}


def _decades(limits: list[float]) -> dict[str, Any]:
    return {"type": "log", "range": limits, "tickfont_size": 10, **log_ticks(limits[0], limits[1], most=6)}
