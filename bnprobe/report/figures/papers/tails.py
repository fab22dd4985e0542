"""Fig 2: the entries of weight gradients of three layers, beside a Gaussian of the same size."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.layers import module_of
from bnprobe.analyse.views import RunView
from bnprobe.numerals import number
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE, MARK
from bnprobe.report.figures.frame import AXIS, TEXT, new_figure
from bnprobe.report.names import figure_text

COLOURS = (LINE, MARK, "#0f9d76")


def row_of(run: RunView, step: int) -> int:
    """Return the row of a step at which figures were measured."""
    return int(np.flatnonzero(run.figure == step)[0])


def weights_in_depth(analysed: AnalysedRun, measured: np.typing.NDArray[np.floating]) -> list[int]:
    """Return the weights that have a number, in order of the depth of their layers."""
    run = analysed.run
    depth: dict[str, int] = {}
    for layer in run.layers:
        depth.setdefault(module_of(layer.name), layer.depth)
    known = np.flatnonzero(np.isfinite(measured))
    return sorted((int(i) for i in known), key=lambda i: (depth.get(run.parameters[i].layer, 10**9), i))


def tails(analysed: AnalysedRun, step: int) -> go.Figure:
    """Draw the histograms of the first, the middle and the last hidden weight at a measured step."""
    run = analysed.run
    row = row_of(run, step)
    weights = weights_in_depth(analysed, run.gradient_tail_exponent[row]) or weights_in_depth(analysed, run.gradient_kurtosis[row])
    chosen = list(dict.fromkeys([weights[0], weights[len(weights) // 2], weights[-1]]))
    layout = {
        "xaxis": {**AXIS, "title_text": "entry of the gradient, in its root mean squares"},
        "yaxis": {**AXIS, "title_text": "density", "type": "log", "exponentformat": "power", "dtick": 1},
        "margin": {"t": 64},
    }
    figure = new_figure(380, layout)
    reach, lowest = 4.0, 1.0
    for colour, weight in zip(COLOURS, chosen, strict=False):
        own = (run.bin_step == step) & (run.bin_parameter == weight)
        count, place = run.bin_count[own], run.bin_place[own]
        largest, rms = float(run.gradient_largest[row, weight]), float(run.gradient_rms[row, weight])
        width = 2.0 * largest / rms / len(count)
        x = (place + 0.5) * width - largest / rms
        density = count / count.sum() / width
        reach, lowest = max(reach, largest / rms), min(lowest, float(density[density > 0].min()))
        name = figure_text(run.parameters[weight].name, 36)
        facts = f"kurtosis {number(float(run.gradient_kurtosis[row, weight]))}"
        if np.isfinite(run.gradient_tail_exponent[row, weight]):
            ends = [float(end[row, weight]) for end in (run.gradient_tail_low, run.gradient_tail_high)]
            if not np.isfinite(ends).all():  # too few entries for a range
                ends = [float(run.gradient_tail_exponent[row, weight])]
            facts += f", tail exponent {' to '.join(number(end, 2) for end in ends)}"
        figure.add_scatter(
            x=x[count > 0],
            y=density[count > 0],
            mode="lines+markers",
            line={"color": colour, "width": 1},
            marker={"size": 4, "color": colour},
            name=f"{name}: {facts}; rms {number(rms)}",
            hovertemplate=f"{name}<br>%{{x:.2f}} rms: density %{{y:.2g}}<extra></extra>",
        )
    grid = np.linspace(-reach, reach, 401)
    gaussian = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    shown = gaussian > lowest / 3
    figure.add_scatter(
        x=grid[shown],
        y=gaussian[shown],
        mode="lines",
        line={"color": TEXT, "width": 1, "dash": "dash"},
        name="Gaussian, kurtosis 3",
        hoverinfo="skip",
    )
    figure.update_layout(legend={"orientation": "v"}, margin={"t": 18 + 19 * (len(chosen) + 1)})
    return figure
