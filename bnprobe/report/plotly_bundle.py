"""The part of plotly.js that a page holds: its published cartesian bundle, a third of the whole library.

``plotly_js/`` has it as it was published (npm package plotly.js-cartesian-dist-min, MIT licence beside it), unchanged; a test compares its
hash. It knows every kind of trace that the figures draw, scatter and heat map, and some more; the rest of the library is maps, three
dimensions and the like. The Python package plotly makes the figures, and shows them whole in a notebook.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

VERSION = "4.1.1"
#: Of the published file.
SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"
#: The kinds of traces that it can draw.
TRACES = frozenset("bar box contour heatmap histogram histogram2d histogram2dcontour image pie scatter scatterternary violin".split())
FILE = Path(__file__).with_name("plotly_js") / "plotly-cartesian.min.js"


@cache
def plotly_js() -> str:
    """Return the library's text."""
    return FILE.read_text(encoding="utf-8")
