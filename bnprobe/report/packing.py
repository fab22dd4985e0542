"""Figures as JSON that is small, always the same for the same figure, and safe inside a page.

The values of a heat map become whole numbers of two bytes between their smallest and largest value (the page's script turns them back):
far finer than a colour scale shows, fine enough for the curve of one layer, and a third of the size. A row that holds one name throughout
is written as that name, and the steps of its cells as what they add to the first of their column.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

#: Levels of a value; one more is kept for a gap.
LEVELS = 65_535


def pack(figure: go.Figure) -> dict[str, Any]:
    """Return a figure as JSON-ready values: traces and layout."""
    plain = figure.to_plotly_json()
    for packed, trace in zip(plain["data"], figure.data, strict=True):
        if trace.type == "heatmap":
            packed["z"] = pack_levels(np.asarray(trace.z, dtype=float))
            packed |= {key: np.asarray(trace[key]).tolist() for key in ("x", "y") if packed.get(key) is not None}
            for key in ("customdata", "text"):
                if packed.get(key) is not None:
                    packed[key] = _pack_grid(np.asarray(trace[key], dtype=object))
    result: dict[str, Any] = _plain({"data": plain["data"], "layout": plain["layout"]})
    return result


def pack_levels(values: NDArray[np.float64]) -> dict[str, Any]:
    """Write (R, C) as levels 1, 2, ... from the smallest to the largest finite value; level 0 is a gap.

    Returns:
        type ("u2", little-endian), shape, low, step and levels (base64): value = low + (level - 1) step.
    """
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    step = (high - low) / (LEVELS - 1) or 1.0
    levels = np.where(finite, np.round((np.where(finite, values, low) - low) / step) + 1, 0).astype("<u2")
    return {"type": "u2", "shape": list(values.shape), "low": low, "step": step, "levels": base64.b64encode(levels.tobytes()).decode()}


def to_json(value: Any) -> str:
    r"""Return JSON that may stand inside a script element: sorted, compact, without any character that could end the element.

    >>> to_json({"name": "</script><script>"})
    '{"name":"\\u003c/script\\u003e\\u003cscript\\u003e"}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _pack_grid(grid: NDArray[Any]) -> Any:
    """Write (R, C) labels as one label a row or a column where that says it all, whole numbers as what they add to their column's least."""
    if grid.size and (grid == grid[:, :1]).all():
        return {"columns": grid.shape[1], "each": grid[:, 0].tolist()}
    if grid.size and (grid == grid[:1]).all():
        return {"rows": grid.shape[0], "each": grid[0].tolist()}
    if grid.size and all(isinstance(label, (int, np.integer)) for label in grid[0]):
        numbers = grid.astype(np.int64)
        least = numbers.min(axis=0)
        added = numbers - least
        kind = next(name for name, most in (("u1", 2**8), ("u2", 2**16), ("u4", 2**32)) if added.max() < most)
        return {"type": kind, "least": least.tolist(), "added": base64.b64encode(added.astype(f"<{kind}").tobytes()).decode()}
    return grid.tolist()


def _plain(value: Any) -> Any:
    """Turn numpy values into those that JSON knows; what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
