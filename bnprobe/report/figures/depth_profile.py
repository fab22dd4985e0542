"""Along depth at one step: size, common-mode fractions, and the two numbers of a signal-propagation plot; one frame a step.

The signal-propagation plot is that of Brock, De, Smith 2021 (arXiv 2101.08692): average squared channel mean (A of the energy split) and
average channel variance (B + W). Layers of one kind are joined, since sizes of different kinds differ by design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.common_mode import common_mode_fraction, spatial_common_mode_fraction
from bnprobe.analyse.depth_profile import log10
from bnprobe.analyse.views import RunView, Signal
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import ALARM, KINDS
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.names import tick_names
from bnprobe.report.quantities import signal_nonfinite
from bnprobe.store.reader import Layer, Run

#: Steps that the slider stops at, half of them spread over the run, the others the last ones before the moment.
MOST_STEPS = 40
#: Decades below the smallest variance to which the axis of squared means reaches.
DEEPEST = 4.0
WORDS: dict[Signal, str] = {"activation": "activation", "activation_gradient": "activation gradient"}

Limits = dict[str, tuple[float, float]]


def depth_profile(analysed: AnalysedRun, signal: Signal, limits: Limits | None = None, shown: int | None = None) -> go.Figure:
    """Draw the profile of one signal, with a frame for each step of ``profile_rows``.

    Args:
        analysed: the run.
        signal: activation or activation gradient.
        limits: ends of the axes, for runs side by side; its own by default.
        shown: which frame is drawn; that of ``shown_frame`` by default.
    """
    run = analysed.run
    limits = limits or profile_limits([analysed], signal)
    rows = profile_rows(analysed)
    curves, broken = _curves(run, signal), signal_nonfinite(run, signal)
    ticks, names = tick_names([layer.name for layer in run.layers], most=16)
    depth = {"range": [-0.7, len(run.layers) - 0.3], "tickvals": ticks, "ticktext": names, "tickangle": -60, "tickfont_size": 10}
    word = WORDS[signal]
    layout = {
        "xaxis": {**AXIS, **depth, "anchor": "y3", "title_text": "layer, in order of depth"},
        "yaxis": {**AXIS, "domain": [0.7, 1], "title_text": f"{word}<br>rms", **_decade_axis(limits["rms"])},
        "yaxis2": {**AXIS, "domain": [0.37, 0.63], "title_text": "common-mode<br>fraction κ ●, κₛ ○", "range": [-0.05, 1.05], "nticks": 5},
        "yaxis3": {**AXIS, "domain": [0, 0.3], "title_text": "squared mean ●<br>variance ○", **_decade_axis(limits["energy"])},
        "legend": {"y": 1.02},
        "margin": {"t": 50},
    }
    figure = new_figure(640, layout)
    lines = _lines(run)
    for line in lines:
        _add_line(figure, analysed, line)
    _add_crosses(figure, analysed, shown=bool(broken.any()))
    frames = []
    for row in rows:
        heights = [_gaps(curves[line.key][row, line.layers]) for line in lines]
        crosses = np.where(broken[row], 10 ** limits["rms"][1], np.nan)
        data = [{"type": "scatter", "y": y} for y in [*heights, crosses]]
        frames.append(go.Frame(name=str(int(run.step[row])), data=data))
    if frames:
        for trace, moving in zip(figure.data, frames[shown_frame(analysed) if shown is None else shown].data, strict=True):
            trace.y = moving.y
        figure.frames = frames
    return figure


def profile_rows(analysed: AnalysedRun) -> NDArray[np.int64]:
    """Choose the rows of the step axis that the slider offers: spread over the run, and all of the last ones up to the divergence."""
    rows = np.union1d(analysed.fields["activation-rms"].known_rows(), analysed.fields["gradient-rms"].known_rows())
    if len(rows) <= MOST_STEPS:
        return rows
    diverged = analysed.divergence
    end = int(np.searchsorted(rows, diverged.row, side="right")) if diverged is not None else len(rows)
    end = max(end, 1)
    even = np.linspace(0, len(rows) - 1, MOST_STEPS // 2).astype(int)
    late = np.arange(max(end - MOST_STEPS // 2, 0), end)
    chosen: NDArray[np.int64] = rows[np.unique(np.concatenate([even, late]))]
    return chosen


def shown_frame(analysed: AnalysedRun) -> int:
    """Return which frame to show first: the last up to the divergence at which at least half of all sizes are finite."""
    rows = profile_rows(analysed)
    sizes = np.concatenate([analysed.fields[key].values[rows] for key in ("activation-rms", "gradient-rms")], axis=1)
    diverged = analysed.divergence
    healthy = (np.isfinite(sizes).mean(axis=1) >= 0.5) & (rows <= (diverged.row if diverged is not None else analysed.run.steps))
    return int(np.flatnonzero(healthy)[-1]) if healthy.any() else len(rows) - 1


def profile_limits(runs: Sequence[AnalysedRun], signal: Signal) -> Limits:
    """Return the ends of the logarithmic axes over all offered steps of all runs: 1st to 99th percentile and some room."""
    limits: Limits = {}
    for axis, keys in (("rms", ("rms",)), ("energy", ("squared mean", "variance"))):
        shown = [(_curves(run.run, signal), profile_rows(run)) for run in runs]
        parts = {key: log10(np.concatenate([curves[key][rows].ravel() for curves, rows in shown])) for key in keys}
        values = np.concatenate(list(parts.values()))
        values = values[np.isfinite(values)]
        low, high = (float(end) for end in np.percentile(values, [1, 99])) if values.size else (0.0, 1.0)
        if axis == "energy":  # a squared mean far below every variance is rounding, as behind batch norm, and need not be seen
            variances = parts["variance"][np.isfinite(parts["variance"])]
            low = max(low, float(variances.min(initial=high)) - DEEPEST)
        room = max(0.08 * (high - low), 0.2)
        limits[axis] = (low - room, high + room)
    return limits


def _curves(run: Run, signal: Signal) -> dict[str, NDArray[np.float64]]:
    view = RunView.of(run)
    return {
        "rms": view.signal(signal).rms.astype(float),
        "κ": common_mode_fraction(run, signal),
        "κₛ": spatial_common_mode_fraction(run, signal),
        "squared mean": view.signal(signal).common_energy,
        "variance": view.signal(signal).between_energy + view.signal(signal).within_energy,
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
    present = [kind for kind in KINDS if (kinds == kind).any()]
    return [_Line(kind, key, axis, np.flatnonzero(kinds == kind)) for kind in present for key, axis in rows]


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
        mode="markers" if line.kind == "input" else "lines+markers",
        line={"color": colour, "width": 1.2, "dash": dash},
        marker={"symbol": symbol, "size": 6 if len(analysed.run.layers) <= 80 else 4, "color": colour},
        customdata=np.array(analysed.hover_names, dtype=object)[line.layers],
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
        customdata=np.array(analysed.hover_names, dtype=object),
        name="not finite",
        showlegend=shown,
        hovertemplate="%{customdata}<br>not finite<extra></extra>",
    )


def _gaps(values: NDArray[np.float64]) -> NDArray[Any]:
    """Values without infinities, in four bytes where these can hold them."""
    finite = np.where(np.isfinite(values), values, np.nan)
    largest, smallest = np.nanmax(np.abs(finite), initial=0.0), np.nanmin(np.abs(finite), initial=1.0, where=finite != 0)
    return finite.astype("f4") if largest < 1e38 and smallest > 1e-37 else finite


def _decade_axis(limits: tuple[float, float]) -> dict[str, Any]:
    """A logarithmic axis between two powers of ten."""
    decades = max(1, round((limits[1] - limits[0]) / 5))
    return {"type": "log", "range": list(limits), "dtick": decades, "exponentformat": "power", "tickfont_size": 10}
