"""Section 4: singular values of products of weights and of the network's Jacobian, beside the edge that random matrices have."""

from __future__ import annotations

import re

import numpy as np
import plotly.graph_objects as go

from bnprobe.analyse.random_matrices import edge
from bnprobe.numerals import number
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import KINDS
from bnprobe.report.figures.frame import AXIS, new_figure

COLOURS = [colour for colour, *_ in KINDS.values()]


def singular(analysed: AnalysedRun, step: int) -> go.Figure:
    """Draw the singular values of each matrix at a measured step, in units of their root mean square, largest first."""
    run = analysed.run
    own = run.singular_step == step
    layout = {
        "xaxis": {**AXIS, "title_text": "share of the singular values, largest first", "range": [-0.02, 1.02]},
        "yaxis": {**AXIS, "title_text": "in units of their rms", "type": "log", "exponentformat": "power"},
        "legend": {"orientation": "v"},
    }
    names = list(dict.fromkeys(run.singular_of[own].tolist()))
    figure = new_figure(380, layout)
    shapes = []
    for colour, name in zip(COLOURS, names, strict=False):
        of = own & (run.singular_of == name)
        widths = _widths(name)
        spectra = [run.singular_value[of & (run.singular_sample == sample)] for sample in dict.fromkeys(run.singular_sample[of].tolist())]
        drawable = [values for values in spectra if 0 < _scale(values, widths) < np.inf]
        if not drawable:
            missing = "all zero" if not any(values.any() for values in spectra) else "not finite"
            figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": colour}, name=f"{name}; {missing}", showlegend=True)
        for place, values in enumerate(drawable):
            scaled = values / _scale(values, widths)
            scaled = scaled[scaled > 1e-9]
            end = edge(widths) if widths else float("nan")
            beside = f"; largest {number(float(scaled[0]))}, of Gaussian matrices {number(end)}" if widths else ""
            condition = f"; largest over smallest {number(float(values[0] / values[-1]), 2)}" if not widths and values[-1] > 0 else ""
            figure.add_scatter(
                x=(np.arange(len(scaled)) + 0.5) / len(values),
                y=scaled,
                mode="lines+markers" if len(scaled) <= 64 else "lines",
                line={"color": colour, "width": 1.6 if widths else 1},
                marker={"size": 4, "color": colour},
                name=f"{name}{beside}{condition}",
                showlegend=place == 0,
                hovertemplate="%{y:.3g} rms<extra></extra>",
            )
            if widths and not place:
                shapes.append(
                    {
                        "type": "line",
                        "xref": "x domain",
                        "x0": 0,
                        "x1": 0.12,
                        "y0": end,
                        "y1": end,
                        "line": {"color": colour, "width": 1.5, "dash": "dash"},
                    }
                )
    figure.update_layout(shapes=shapes, margin={"t": 18 + 19 * len(names)})
    return figure


def _scale(values: np.ndarray[tuple[int], np.dtype[np.float64]], widths: tuple[int, ...]) -> float:
    """Root mean square of those values that can differ from 0: a narrow layer within a product lets no more through.

    >>> _scale(np.array([4.0, 3.0, 0.0]), (3, 2, 3)), _scale(np.zeros(3), (3, 3))
    (3.5355339059327378, 0.0)
    """
    passed = values[: min(widths)] if widths else values
    return float(np.sqrt(np.mean(passed**2)))


def _widths(name: str) -> tuple[int, ...]:
    """Widths of a weight, or of a product of them; none of a Jacobian.

    >>> _widths("product of 2 weights, 64-32-64"), _widths("the first weight, 1024-10"), _widths("Jacobian of the outputs")
    ((64, 32, 64), (1024, 10), ())
    """
    found = re.search(r"weights?, (\d+(?:-\d+)+)$", name)
    return tuple(int(width) for width in found[1].split("-")) if found else ()
