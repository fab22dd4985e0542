"""Layer by step, how far a run is from another one: layers that both have, steps that both measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import DIVERGING
from bnprobe.report.figures.frame import AXIS, NAMES, STEPS, new_figure
from bnprobe.report.figures.heatmap import BOTTOM, MOST_CELLS, TOP
from bnprobe.report.figures.scales import BAR, power_of_ten
from bnprobe.report.layer_keys import layer_keys
from bnprobe.report.names import tick_names
from bnprobe.report.quantities import Field
from bnprobe.report.thinning import MOST_COLUMNS, bin_starts, largest_in_bins, place_of_largest


def difference_map(runs: tuple[AnalysedRun, AnalysedRun], fields: tuple[Field, Field], height: int) -> go.Figure | None:
    """Draw a quantity of the second run minus that of the first; of a logarithmic one, the power of ten between them.

    Args:
        runs: the run to compare with, and the other.
        fields: the same quantity of each.
        height: in pixels.

    Returns:
        The figure, whose map says in ``meta`` which layer of the second run each row is; None where no layer or no step is in both.
    """
    rows, layers = _matched(runs, fields)
    if not rows[0].size or not layers[0].size:
        return None
    first, second = (field.values[np.ix_(row, layer)] for field, row, layer in zip(fields, rows, layers, strict=True))
    with np.errstate(invalid="ignore"):  # two exact zeros differ by nothing that a logarithm knows
        change = np.where(np.isfinite(first) & np.isfinite(second), second - first, np.nan)
    known = np.isfinite(change).any(axis=0)
    if not known.any():
        return None
    change, shown = change[:, known], layers[1][known]
    names = [runs[1].run.layers[layer].name for layer in shown]
    starts = bin_starts(len(change), min(MOST_COLUMNS, max(1, MOST_CELLS // len(names))))
    reach = largest_in_bins(np.abs(change), starts)
    at = place_of_largest(np.abs(change), reach, starts)
    values = np.take_along_axis(change, at, axis=0).T
    steps = runs[1].run.step[rows[1]]
    quantity = fields[0].quantity
    ticks, words = tick_names(names, most=(height - TOP - BOTTOM) // 14)
    rows_axis = {"tickvals": ticks, "ticktext": words, "tickfont_size": 10, "range": [len(names) - 0.5, -0.5]}
    layout = {
        "xaxis": {**STEPS, "range": [steps[0] - 0.5, steps[-1] + 0.5], "showgrid": False},
        "yaxis": {**AXIS, **NAMES, **rows_axis, "showgrid": False},
        "margin": {"t": TOP, "b": BOTTOM, "r": 96},
    }
    figure = new_figure(height, layout)
    lost = min(int(one.run.step[min(field.diverged, one.run.steps - 1)]) for one, field in zip(runs, fields, strict=True))
    limit = _limit(change[steps <= lost] if (steps <= lost).any() else change, quantity.logarithmic)
    value = "×10^%{z:.2f}" if quantity.logarithmic else "%{z:+.3f}"
    figure.add_heatmap(
        x=np.append(steps[starts], steps[-1] + 1) - 0.5,
        z=values.astype("f4"),
        customdata=np.broadcast_to(runs[1].hover_names[shown][:, None], values.shape, subok=True),
        text=steps[at].T,
        meta=shown.tolist(),
        zmin=-limit,
        zmax=limit,
        colorscale=DIVERGING,
        colorbar=_bar(limit, quantity.logarithmic),
        hoverongaps=False,
        hovertemplate=f"%{{customdata}}<br>step %{{text}}<br>{value}<extra></extra>",
    )
    return figure


def _matched(
    runs: tuple[AnalysedRun, AnalysedRun], fields: tuple[Field, Field]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and layers of each run that the other one has, too: by step, and by key in the order of the second run."""
    known = [field.known_rows for field in fields]
    _, one, other = np.intersect1d(runs[0].run.step[known[0]], runs[1].run.step[known[1]], return_indices=True)
    first, second = layer_keys([one.run for one in runs])
    places = {key: place for place, key in enumerate(first)}
    both = [(places[key], place) for place, key in enumerate(second) if key in places]
    pairs = np.array(both, dtype=np.int64).reshape(-1, 2)
    return (known[0][one], known[1][other]), (pairs[:, 0], pairs[:, 1])


def _limit(values: NDArray[Any], logarithmic: bool) -> float:
    """The end of the colour scale: what 98 of 100 cells stay within before either run diverges; whole decades, one at least."""
    finite = np.abs(values[np.isfinite(values)])
    size = round(float(np.percentile(finite, 98)), 3) if finite.size else 0.0
    return max(1.0, float(np.ceil(size))) if logarithmic else max(0.1, float(np.ceil(10 * size) / 10))


def _bar(limit: float, logarithmic: bool) -> dict[str, Any]:
    apart = max(1.0, float(np.ceil(limit / 2))) if logarithmic else limit / 2
    places = [place for place in (-2 * apart, -apart, 0.0, apart, 2 * apart) if abs(place) <= limit]
    names = ["equal" if not place else f"×{power_of_ten(place)}" if logarithmic else f"{place:+.2g}".replace("-", "−") for place in places]
    title = {"text": "over the first" if logarithmic else "minus the first", "side": "right", "font_size": 11}
    return {**BAR, "tickvals": places, "ticktext": names, "title": title}
