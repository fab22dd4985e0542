"""Along depth at one step: size, common-mode fractions, and the two numbers of a signal-propagation plot; and the same at every step.

The signal-propagation plot is that of Brock, De, Smith 2021 (arXiv 2101.08692): average squared channel mean (A of the energy split) and
average channel variance (B + W). Layers of one kind are joined, since sizes of different kinds differ by design.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.common_mode import common_mode_fraction, has_space, spatial_common_mode_fraction
from bnprobe.analyse.depth_profile import log10
from bnprobe.analyse.views import RunView, Signal
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, KINDS
from bnprobe.report.figures.frame import AXIS, NAMES, TITLED_IN_TWO, new_figure
from bnprobe.report.figures.scales import log_ticks
from bnprobe.report.names import tick_names
from bnprobe.report.packing import pack_levels
from bnprobe.report.quantities import signal_nonfinite
from bnprobe.store.reader import Layer, Run

#: Steps times layers that the slider of a page reaches: two bytes for each of five curves, so half a megabyte a signal. Of more, half
#: of the steps are spread over the run, and the others are the last ones before it diverged; but never fewer than so many steps.
MOST_CELLS, FEWEST_STEPS = 50_000, 40
#: Of more layers than this the marks run into each other: lines alone are drawn, what would be an open mark paler, in a tenth of the time.
MOST_MARKED = 150
#: Decades below the smallest variance to which the axis of squared means reaches.
DEEPEST = 4.0
WORDS: dict[Signal, str] = {"activation": "activation", "activation_gradient": "activation gradient"}

Limits = dict[str, tuple[float, float]]


def depth_profile(analysed: AnalysedRun, signal: Signal, limits: Limits | None = None, row: int | None = None) -> go.Figure:
    """Draw the profile of one signal at one step.

    Args:
        analysed: the run.
        signal: activation or activation gradient.
        limits: ends of the axes, for runs side by side; its own by default.
        row: of the step axis; that of ``shown_place`` by default.
    """
    run = analysed.run
    limits = limits or profile_limits([analysed], signal)
    rows = profile_rows(analysed)
    if row is None and rows.size:
        row = int(rows[shown_place(analysed)])
    ticks, names = tick_names([layer.name for layer in run.layers], most=16)
    depth = {"range": [-0.7, len(run.layers) - 0.3], "tickvals": ticks, "ticktext": names, "tickangle": -60, "tickfont_size": 10}
    word = WORDS[signal]
    first, second = (" ●", " ○") if len(run.layers) <= MOST_MARKED else ("", " (pale)")
    fractions = f"κ{first}, κₛ{second}" if has_space(run).any() else "κ"
    layout = {
        "xaxis": {**AXIS, **NAMES, **depth, "anchor": "y3", "title_text": "layer, in order of depth"},
        "yaxis": {**AXIS, "domain": [0.7, 1], "title_text": f"{word}<br>rms", **_decade_axis(limits["rms"])},
        "yaxis2": {
            **AXIS,
            "domain": [0.37, 0.63],
            "title_text": f"common-mode<br>fraction {fractions}",
            "range": [-0.05, 1.05],
            "nticks": 5,
        },
        "yaxis3": {**AXIS, "domain": [0, 0.3], "title_text": f"squared mean{first}<br>variance{second}", **_decade_axis(limits["energy"])},
        "legend": {"y": 1.02},
        "margin": {"t": 50, "l": TITLED_IN_TWO},
    }
    figure = new_figure(640, layout)
    for line in _lines(run):
        _add_line(figure, analysed, line)
    _add_crosses(figure, analysed, shown=bool(signal_nonfinite(run, signal).any()))
    if row is not None:
        for trace, (heights, _) in zip(figure.data, _heights(analysed, signal, limits, np.array([row])), strict=True):
            trace.y = _gaps(heights[0])
    return figure


def profile_course(analysed: AnalysedRun, signal: Signal, limits: Limits) -> dict[str, Any]:
    """Return what the traces of ``depth_profile`` are at every step of ``profile_rows``, packed for a page.

    Returns:
        steps; and heights, one a trace: (steps, layers of the trace) in levels, of logarithms to base 10 where it says so.
    """
    rows = profile_rows(analysed)
    return {
        "steps": analysed.run.step[rows].tolist(),
        "heights": [
            {**pack_levels(log10(heights) if is_logarithmic else heights), "logarithmic": is_logarithmic}
            for heights, is_logarithmic in _heights(analysed, signal, limits, rows)
        ],
    }


def measured_rows(analysed: AnalysedRun) -> NDArray[np.int64]:
    """Return the rows of the step axis at which a layer's size was measured."""
    rows: NDArray[np.int64] = np.union1d(analysed.fields["activation-rms"].known_rows, analysed.fields["gradient-rms"].known_rows)
    return rows


def profile_rows(analysed: AnalysedRun) -> NDArray[np.int64]:
    """Choose the rows of the step axis that the slider offers: spread over the run, and all of the last ones up to the divergence."""
    rows = measured_rows(analysed)
    most = max(FEWEST_STEPS, MOST_CELLS // max(1, len(analysed.run.layers)))
    if len(rows) <= most:
        return rows
    diverged = analysed.divergence
    end = int(np.searchsorted(rows, diverged.row, side="right")) if diverged is not None else len(rows)
    end = max(end, 1)
    even = np.linspace(0, len(rows) - 1, most // 2).astype(int)
    late = np.arange(max(end - most // 2, 0), end)
    chosen: NDArray[np.int64] = rows[np.unique(np.concatenate([even, late]))]
    return chosen


def shown_place(analysed: AnalysedRun) -> int:
    """Return at which of the steps offered to begin: the last up to the divergence at which at least half of all sizes are finite."""
    rows = profile_rows(analysed)
    sizes = np.concatenate([analysed.fields[key].values[rows] for key in ("activation-rms", "gradient-rms")], axis=1)
    diverged = analysed.divergence
    healthy = (np.isfinite(sizes).mean(axis=1) >= 0.5) & (rows <= (diverged.row if diverged is not None else analysed.run.steps))
    return int(np.flatnonzero(healthy)[-1]) if healthy.any() else len(rows) - 1


def profile_limits(runs: Sequence[AnalysedRun], signal: Signal) -> Limits:
    """Return the ends of the logarithmic axes over all offered steps of all runs: 1st to 99th percentile and some room.

    Steps after a run has diverged do not count: their sizes would press those of all others flat. The step that a page opens at is there
    whole.
    """
    limits: Limits = {}
    shown = [_curves(run.run, signal, _rows_until_lost(run)) for run in runs]
    opened = [_curves(run.run, signal, profile_rows(run)[[shown_place(run)]]) for run in runs if profile_rows(run).size]
    for axis, keys in (("rms", ("rms",)), ("energy", ("squared mean", "variance"))):
        parts = {key: log10(np.concatenate([curves[key].ravel() for curves in shown])) for key in keys}
        values = np.concatenate(list(parts.values()))
        values = values[np.isfinite(values)]
        low, high = (float(end) for end in np.percentile(values, [1, 99])) if values.size else (0.0, 1.0)
        first = log10(np.concatenate([np.zeros(0), *(curves[key].ravel() for curves in opened for key in keys)]))
        first = first[np.isfinite(first)]
        low, high = float(first.min(initial=low)), float(first.max(initial=high))
        if axis == "energy":  # a squared mean far below every variance is rounding, as behind batch norm, and need not be seen
            variances = parts["variance"][np.isfinite(parts["variance"])]
            low = max(low, float(variances.min(initial=high)) - DEEPEST)
        room = max(0.08 * (high - low), 0.2)
        limits[axis] = (low - room, high + room)
    return limits


def _rows_until_lost(analysed: AnalysedRun) -> NDArray[np.int64]:
    rows = profile_rows(analysed)
    kept = rows if analysed.divergence is None else rows[rows <= analysed.divergence.row]
    return kept if kept.size else rows


def _curves(run: RunView, signal: Signal, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """What is drawn of each layer at some rows of the step axis, (R, L) each."""
    recorded = run.signal(signal)
    return {
        "rms": recorded.rms[rows].astype(float),
        "κ": common_mode_fraction(run, signal, rows),
        "κₛ": np.where(has_space(run), spatial_common_mode_fraction(run, signal, rows), np.nan),
        "squared mean": recorded.common_energy[rows],
        "variance": recorded.between_energy[rows] + recorded.within_energy[rows],
    }


@dataclass(frozen=True)
class _Line:
    """Layers of one kind in one row of the figure."""

    kind: str
    key: str
    axis: str
    layers: NDArray[np.int64]


def _lines(run: Run) -> list[_Line]:
    kinds = np.array([_kind(layer) for layer in run.layers], dtype=object)
    rows = (("rms", "y"), ("κ", "y2"), ("κₛ", "y2"), ("squared mean", "y3"), ("variance", "y3"))
    spatial = has_space(run)
    of_kind = {kind: np.flatnonzero(kinds == kind) for kind in KINDS if (kinds == kind).any()}
    return [
        _Line(kind, key, axis, layers) for kind, layers in of_kind.items() for key, axis in rows if key != "κₛ" or spatial[layers].any()
    ]


def _kind(layer: Layer) -> str:
    if layer.role == "input":
        return "input"
    return layer.kind if layer.kind in KINDS else "other"


def _add_line(figure: go.Figure, analysed: AnalysedRun, line: _Line) -> None:
    colour, symbol, dash = KINDS[line.kind]
    if line.key in ("variance", "κₛ"):
        symbol = symbol if symbol.endswith("-open") else f"{symbol}-open"
    value = "%{y:.3f}" if line.axis == "y2" else "%{y:.3g}"
    figure.add_scatter(
        x=line.layers,
        yaxis=line.axis,
        mode="markers" if line.kind == "input" else "lines" if len(analysed.run.layers) > MOST_MARKED else "lines+markers",
        opacity=0.5 if line.key in ("variance", "κₛ") and len(analysed.run.layers) > MOST_MARKED else 1.0,
        line={"color": colour, "width": 1.2, "dash": dash},
        marker={"symbol": symbol, "size": 6 if len(analysed.run.layers) <= 80 else 4, "color": colour},
        customdata=analysed.hover_names[line.layers],
        name=line.kind,
        legendgroup=line.kind,
        showlegend=line.key == "rms",
        hovertemplate=f"%{{customdata}}<br>{line.key} {value}<extra>{line.kind}</extra>",
    )


def _add_crosses(figure: go.Figure, analysed: AnalysedRun, shown: bool) -> None:
    """Crosses at the top of the figure for layers whose signal was not finite at the step shown."""
    figure.add_scatter(
        x=np.arange(len(analysed.run.layers)),
        mode="markers",
        cliponaxis=False,
        marker={"symbol": "x", "size": 8, "color": ALARM},
        customdata=analysed.hover_names,
        name="not finite",
        showlegend=shown,
        hovertemplate="%{customdata}<br>not finite<extra></extra>",
    )


def _heights(analysed: AnalysedRun, signal: Signal, limits: Limits, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.float64], bool]]:
    """Yield of each trace, lines first and then crosses, its heights (steps, layers), and whether its axis is logarithmic."""
    curves = _curves(analysed.run, signal, rows)
    for line in _lines(analysed.run):
        yield curves[line.key][:, line.layers], line.axis != "y2"
    yield np.where(signal_nonfinite(analysed.run, signal)[rows], 10 ** limits["rms"][1], np.nan), True


def _gaps(values: NDArray[np.float64]) -> NDArray[Any]:
    """Values without infinities, in four bytes where these can hold them."""
    finite = np.where(np.isfinite(values), values, np.nan)
    largest, smallest = np.nanmax(np.abs(finite), initial=0.0), np.nanmin(np.abs(finite), initial=1.0, where=finite != 0)
    return finite.astype("f4") if largest < 1e38 and smallest > 1e-37 else finite


def _decade_axis(limits: tuple[float, float]) -> dict[str, Any]:
    """A logarithmic axis between two powers of ten."""
    return {"type": "log", "range": list(limits), "tickfont_size": 10, **log_ticks(*limits)}
