"""Cells of a heat map that no colour scale can show: what was not finite is red and hatched, to be told apart without colour, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.report.colours import ALARM, ALARM_HATCH

#: Rectangles of hatching; where there are more, neighbours in a row are joined.
MOST_RECTANGLES = 3000


def fill_cells(figure: go.Figure, edges: NDArray[Any], mask: NDArray[np.bool_], colour: str, words: str) -> None:
    """Paint cells of a heat map with rows 0, 1, 2, ... and columns between ``edges`` in one colour; hovering over them shows ``words``."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    figure.add_heatmap(
        x=edges[columns[0] : columns[-1] + 2],
        y=np.arange(rows[0], rows[-1] + 2) - 0.5,
        z=np.where(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 0, np.nan).astype("f4"),
        zmin=0,
        zmax=1,
        colorscale=[[0, colour], [1, colour]],
        showscale=False,
        hoverongaps=False,
        hovertemplate=f"{words}<extra></extra>",
    )


def draw_nonfinite(figure: go.Figure, edges: NDArray[Any], broken: NDArray[np.bool_]) -> None:
    """Mark cells that were not finite, and name them in the legend. The fill is exact; the hatching on it may join neighbours."""
    fill_cells(figure, edges, broken, ALARM, "not finite (NaN or infinite)")
    corners_x: list[float] = []
    corners_y: list[float] = []
    for row, start, stop in _rectangles(broken):
        corners_x += [edges[start], edges[stop], edges[stop], edges[start], edges[start], np.nan]
        corners_y += [row - 0.5, row - 0.5, row + 0.5, row + 0.5, row - 0.5, np.nan]
    figure.add_scatter(
        x=np.array(corners_x),
        y=np.array(corners_y),
        mode="lines",
        line={"width": 0, "color": ALARM},
        fill="toself",
        fillpattern={"shape": "x", "fgcolor": ALARM_HATCH, "bgcolor": ALARM, "size": 7, "solidity": 0.2},
        name="not finite (NaN or infinite)",
        hoverinfo="skip",
    )


def _rectangles(mask: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Runs of set cells as (row, start, stop); gaps in a row are closed until there are few enough of them."""
    gap = 0
    while True:
        found = [(row, start, stop) for row in range(len(mask)) for start, stop in _runs(mask[row], gap)]
        if len(found) <= MOST_RECTANGLES or gap > mask.shape[1]:
            return found
        gap = 2 * gap + 1


def _runs(line: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Runs of set entries as (start, stop), joined across gaps of up to ``gap`` entries."""
    places = np.flatnonzero(line)
    if not places.size:
        return []
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    stops = places[np.concatenate([breaks, [places.size - 1]])] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
