"""Layer by step, one quantity: colour is the value; what was not finite is hatched red; what was not observed shows the ground."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import SEQUENTIAL
from bnprobe.report.figures.frame import AXIS, NAMES, STEPS, moments, new_figure, step_range
from bnprobe.report.figures.hatching import draw_nonfinite, fill_cells
from bnprobe.report.figures.scales import BAR, decades, power_of_ten
from bnprobe.report.names import tick_names
from bnprobe.report.quantities import Field, Quantity, shared_limits
from bnprobe.report.thinning import MOST_COLUMNS, any_in_bins, bin_starts, largest_in_bins, place_of_largest

#: Cells of one heat map; more layers make for fewer columns, so that a page of five stays small.
MOST_CELLS = 120_000
ROW_PIXELS = 7
SHORTEST, TALLEST = 170, 420
#: Room above for the legend, kept where there is none, so that neighbours are level.
TOP, BOTTOM = 26, 44


def heat_map(analysed: AnalysedRun, field: Field, limits: tuple[float, float] | None = None, height: int | None = None) -> go.Figure:
    """Draw one quantity of every layer over all observed steps.

    Args:
        analysed: the run.
        field: one of its fields.
        limits: ends of the colour scale, for runs side by side; its own by default.
        height: in pixels, for runs side by side; what its layers need by default.

    Returns:
        The figure, whose map says in ``meta`` which layer each row is.
    """
    run = analysed.run
    known, nonfinite = field.known
    starts = bin_starts(len(known), _most_columns(field))
    layers = shown_layers(field)
    largest = largest_in_bins(known, starts)
    values = largest.T[layers]
    broken = any_in_bins(nonfinite, starts).T[layers]
    zero = np.isneginf(values) & ~broken
    steps = run.step[field.known_rows][starts]
    # A cell names the step at which its value was, which is not the first of its column.
    named = run.step[field.known_rows][place_of_largest(known, largest, starts)].T[layers]
    # A column stands until the next measured step, so that nothing is shown before it was seen.
    edges = np.append(steps, run.step[-1:] + 1) - 0.5
    low, high = limits or shared_limits([field])

    height = height or map_height(len(run.layers))
    ticks, names = tick_names([run.layers[layer].name for layer in layers], most=(height - TOP - BOTTOM) // 14)
    rows_axis = {"tickvals": ticks, "ticktext": names, "tickfont_size": 10, "range": [len(layers) - 0.5, -0.5]}
    layout = {
        "xaxis": {**STEPS, "range": step_range(analysed), "showgrid": False},
        "yaxis": {**AXIS, **NAMES, **rows_axis, "showgrid": False},
        "margin": {"t": TOP, "b": BOTTOM, "r": 96},
        "showlegend": bool(broken.any()),
        **moments(analysed),
    }
    figure = new_figure(height, layout)
    figure.add_heatmap(
        x=edges,
        z=np.where(broken | zero, np.nan, values).astype("f4"),
        customdata=np.broadcast_to(analysed.hover_names[layers, None], values.shape, subok=True),
        text=named,
        meta=layers.tolist(),
        zmin=low,
        zmax=high,
        colorscale=SEQUENTIAL,
        colorbar=colour_bar(field.quantity, low, high, values),
        hoverongaps=False,
        hovertemplate=_hover(field.quantity),
    )
    if zero.any():
        fill_cells(figure, edges, zero, str(SEQUENTIAL[0][1]), "exactly 0")
    if broken.any():
        draw_nonfinite(figure, edges, broken)
    return figure


def has_gaps(field: Field) -> bool:
    """Whether the map has a cell that is neither a value nor one that was not finite, so that the ground shows."""
    values, nonfinite = field.known
    gaps = np.isnan(values) & ~nonfinite
    missing = np.flatnonzero(gaps.any(axis=0) & ~gaps.all(axis=0) if field.quantity.of_space else gaps.any(axis=0))
    return bool(np.isin(missing, shown_layers(field)).any())


def shown_layers(field: Field) -> NDArray[np.int64]:
    """The layers that are shown: all of them, but for what only weights have."""
    layers = np.arange(field.values.shape[1])
    if not field.quantity.of_weights:
        return layers
    known = (~np.isnan(field.values) | field.nonfinite).any(axis=0)
    return layers[known] if known.any() else layers


def map_height(layers: int) -> int:
    """Return the height of a heat map of that many layers, in pixels."""
    return min(max(ROW_PIXELS * layers, SHORTEST), TALLEST) + TOP + BOTTOM


def columns_hold(field: Field) -> int:
    """Return how many observed steps one column of a heat map stands for."""
    return max(1, -(-len(field.known_rows) // _most_columns(field)))


def _most_columns(field: Field) -> int:
    layers: int = field.values.shape[1]
    return min(MOST_COLUMNS, max(1, MOST_CELLS // max(layers, 1)))


def colour_bar(quantity: Quantity, low: float, high: float, values: NDArray[Any]) -> dict[str, Any]:
    """Return a colour bar with its unit, powers of ten where the values are logarithms, and ≤ or ≥ at an end that hides values."""
    bar = {**BAR, "title": {"text": quantity.symbol, "side": "right", "font_size": 11}}
    if not quantity.logarithmic:
        return bar
    places, names = decades(low, high)
    for end, hides, sign in ((low, np.nanmin(values, initial=high) < low, "≤"), (high, np.nanmax(values, initial=low) > high, "≥")):
        if hides:  # the label nearest to that end gives way to the end's own
            i = int(np.argmin(np.abs(np.array(places) - end)))
            places[i], names[i] = end, f"{sign} {power_of_ten(end)}"
    return bar | {"tickvals": places, "ticktext": names}


def _hover(quantity: Quantity) -> str:
    """Layer, step, and the value with what it is of; on a page its script writes a power of ten as the number that it is."""
    value = "10^%{z:.2f}" if quantity.logarithmic else "%{z:.3f}"
    return f"%{{customdata}}<br>step %{{text}}<br>{quantity.title}: {value} ({quantity.symbol})<extra></extra>"
