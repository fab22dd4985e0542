"""The noise of the gradient: of each weight, how much of the squared gradient of a batch is scatter between its samples."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.numerals import number
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import LINE, MARK
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.papers.tails import row_of, weights_in_depth
from bnprobe.report.names import figure_text


def noise(analysed: AnalysedRun, step: int) -> go.Figure:
    """Draw ||g||^2 and C / |B| of every weight at a measured step.

    The legend adds up both over the network, and says what lr^2 / |B| was where all those weights are trained at one rate.
    """
    run = analysed.run
    row = row_of(run, step)
    weights = weights_in_depth(analysed, run.gradient_noise[row])
    samples = run.gradient_noise_samples[row, weights].astype(float)
    total = run.gradient_noise[row, weights].astype(float)
    scatter, square = total / samples, run.gradient_noise_square[row, weights].astype(float)
    names = [figure_text(run.parameters[weight].name, 40) for weight in weights]
    layout = {
        "xaxis": {**AXIS, "title_text": "weight, in order of depth", "range": [0, len(weights) + 1]},
        "yaxis": {**AXIS, "title_text": "squared gradient", "type": "log", "exponentformat": "power"},
        "legend": {"orientation": "v"},
        "margin": {"t": 18 + 19 * 2},
    }
    figure = new_figure(360, layout)
    lr = _rate(analysed, step, weights)
    for values, colour, name in (
        (square, LINE, f"‖g‖², of the batch: {number(square.sum())} in all"),
        (scatter, MARK, f"C/|B|, its noise: {number(scatter.sum())}; C = {number(total.sum())}"),
    ):
        figure.add_scatter(
            x=np.arange(1, len(weights) + 1),
            y=np.where(values > 0, values, np.nan),
            mode="lines+markers",
            line={"color": colour, "width": 1},
            marker={"size": 5, "color": colour},
            name=name,
            customdata=[
                f"{one}<br>noise {number(100 * s / q) if q > 0 else '?'} % of ‖g‖²"
                for one, s, q in zip(names, scatter, square, strict=True)
            ],
            hovertemplate="%{customdata}<br>%{y:.3g}<extra></extra>",
        )
    if lr is not None and len(set(samples.tolist())) == 1:
        told = f"lr²/|B| = {number(lr**2 / samples[0])}; lr²C/|B| = {number(lr**2 * scatter.sum())}"
        figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": "rgba(0,0,0,0)"}, name=told)
        figure.update_layout(margin={"t": 18 + 19 * 3})
    return figure


def _rate(analysed: AnalysedRun, step: int, weights: list[int]) -> float | None:
    """The learning rate of a step, where it is one for all those weights."""
    run = analysed.run
    kept = np.flatnonzero(run.step == step)
    groups = {run.parameters[weight].group for weight in weights}
    if not kept.size or not all(0 <= group < run.learning_rate.shape[1] for group in groups):
        return None
    rates = {float(run.learning_rate[kept[0], group]) for group in groups}
    rate = rates.pop()
    return rate if not rates and np.isfinite(rate) else None
