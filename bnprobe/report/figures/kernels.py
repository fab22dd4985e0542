"""The common mode of the convolutions' kernels: the worst slice mean over the run, and how well each kernel rejects at its end.

Mean Shift Rejection (Ruff, Beck, Bach 2019, arXiv 1911.13173) holds the slice means at zero; what is left of them is rounding. It leaves
the first convolution free by default, which is therefore drawn on its own, with and without it alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE, SECOND_LINE
from bnprobe.report.figures.frame import AXIS, NAMES, STEPS, TEXT, TITLED_IN_TWO, new_figure, step_range
from bnprobe.report.figures.scales import log_ticks, shown_value
from bnprobe.report.names import figure_text, tick_names
from bnprobe.store.reader import Run

#: Rounding of a single-precision number, half a unit in its last place beside 1.
ROUNDING = 2.0**-24
Limits = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Kernels:
    """The kernels larger than 1x1 of a run; K of them, N snapshots at which they were measured.

    Attributes:
        names: the layers they belong to.
        steps: (N,) steps.
        slice_mean: (N, K) worst slice mean over the rms.
        cmrr: (N, K) common-mode rejection ratio, infinite for a kernel without a mean.
    """

    names: list[str]
    steps: NDArray[np.int64]
    slice_mean: NDArray[np.float64]
    cmrr: NDArray[np.float64]


def kernels_of(run: Run) -> Kernels | None:
    """Return what is known of a run's kernels; None where nothing is."""
    view = RunView.of(run)
    slice_mean, cmrr = view.kernel_slice_mean.astype(float), view.kernel_cmrr.astype(float)
    known = np.isfinite(slice_mean)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if not rows.size:
        return None
    chosen = np.ix_(rows, columns)
    names = [run.parameters[i].layer or run.parameters[i].name for i in columns]
    return Kernels(names, view.snapshot[rows], slice_mean[chosen], cmrr[chosen])


def kernel_view(analysed: AnalysedRun, kernels: Kernels, limits: Limits | None = None) -> go.Figure:
    """Draw the worst slice mean over the steps above the CMRR of each kernel at the last snapshot.

    Args:
        analysed: the run.
        kernels: its kernels.
        limits: ends of the axes, for runs side by side; its own by default.
    """
    limits = limits or kernel_limits([kernels])
    ticks, names = tick_names(kernels.names, most=16)
    depth = {"range": [-0.7, len(kernels.names) - 0.3], "tickvals": ticks, "ticktext": names, "tickangle": -60, "tickfont_size": 10}
    rounding = {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "y0": ROUNDING, "y1": ROUNDING}
    words = {"xref": "x domain", "x": 1, "xanchor": "right", "yref": "y", "y": float(np.log10(ROUNDING)), "yanchor": "bottom"}
    layout = {
        "margin": {"t": 28, "l": TITLED_IN_TWO},
        "xaxis": {**STEPS, "range": step_range(analysed), "anchor": "y"},
        "xaxis2": {**AXIS, **NAMES, **depth, "anchor": "y2", "title_text": f"kernel, at step {kernels.steps[-1]}"},
        "yaxis": {**AXIS, "domain": [0.58, 1], "title_text": "worst slice mean,<br>over the rms", **_decade_axis(limits["slice mean"])},
        "yaxis2": {**AXIS, "domain": [0, 0.38], "title_text": "CMRR", **_decade_axis(limits["CMRR"])},
        "shapes": [{**rounding, "line": {"color": TEXT, "width": 1, "dash": "dash"}}],
        "annotations": [{**words, "text": "rounding, 6×10<sup>−8</sup>", "showarrow": False, "font_size": 11}],
    }
    figure = new_figure(520, layout)
    if len(kernels.names) > 1:
        _add_worst(figure, kernels, slice(1, None), "worst of all kernels but the first", LINE, limits)
    _add_worst(figure, kernels, slice(0, 1), "first kernel", SECOND_LINE, limits)
    _add_rejection(figure, kernels, limits)
    return figure


def kernel_limits(runs: Sequence[Kernels]) -> Limits:
    """Return the ends of the logarithmic axes over all runs, in powers of ten; the rounding level is always in sight."""
    return {
        "slice mean": _limits([np.array([ROUNDING]), *(kernels.slice_mean.ravel() for kernels in runs)]),
        "CMRR": _limits([kernels.cmrr[-1] for kernels in runs]),
    }


def _limits(parts: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    values = np.concatenate(parts)
    values = np.log10(values[np.isfinite(values) & (values > 0)])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    room = max(0.08 * (high - low), 0.2)
    return low - room, high + room


def _add_worst(figure: go.Figure, kernels: Kernels, which: slice, name: str, colour: str, limits: Limits) -> None:
    values = kernels.slice_mean[:, which]
    known = np.where(np.isfinite(values), values, -np.inf)
    worst, row = known.argmax(axis=1), np.arange(len(values))
    height, names = known[row, worst], kernels.names[which]
    seen = np.isfinite(height)
    figure.add_scatter(
        x=kernels.steps[seen],
        y=_within(height[seen], limits["slice mean"]),
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"size": 6, "symbol": "circle" if which.start else "diamond-open"},
        customdata=[[figure_text(names[i]), shown_value(float(value))] for i, value in zip(worst[seen], height[seen], strict=True)],
        name=name,
        hovertemplate="step %{x}<br>%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _add_rejection(figure: go.Figure, kernels: Kernels, limits: Limits) -> None:
    """A kernel without any mean stands at the top of the axis."""
    values = kernels.cmrr[-1]
    words = ["without a mean" if np.isinf(value) else shown_value(float(value)) for value in values]
    figure.add_scatter(
        x=np.arange(len(values)),
        y=_within(values, limits["CMRR"]),
        xaxis="x2",
        yaxis="y2",
        mode="markers",
        cliponaxis=False,
        marker={
            "size": 7,
            "color": [SECOND_LINE if i == 0 else LINE for i in range(len(values))],
            "symbol": ["triangle-up" if np.isinf(value) else "diamond-open" if i == 0 else "circle" for i, value in enumerate(values)],
        },
        customdata=[[figure_text(name), word] for name, word in zip(kernels.names, words, strict=True)],
        name="CMRR",
        showlegend=False,
        hovertemplate="%{customdata[0]}<br>CMRR %{customdata[1]}<extra></extra>",
    )


def _within(values: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Put zeros and infinities, for which a logarithmic axis has no place, at its ends."""
    clipped: NDArray[np.float64] = np.clip(values, 10 ** limits[0], 10 ** limits[1])
    return clipped


def _decade_axis(limits: tuple[float, float]) -> dict[str, Any]:
    return {"type": "log", "range": list(limits), "tickfont_size": 10, **log_ticks(*limits, most=4)}
