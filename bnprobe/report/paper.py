"""The figures of a page as they stand on paper: on white, with dark text, and grey where nothing was observed.

On a page they take their colours from its style sheet, so that one drawing serves light and dark; a file has no style sheet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from bnprobe.ranks import trainings
from bnprobe.report.analysed import analyse_runs
from bnprobe.report.comparison_page import comparison_figures
from bnprobe.report.limits_page import limits_figures
from bnprobe.report.limits_section import limits_sections
from bnprobe.report.panels import panels_of
from bnprobe.store.comparison_file import holds_comparison, read_comparison
from bnprobe.store.limits_file import holds_limits, read_limits
from bnprobe.store.reader import read_run

#: Of every figure, in pixels at 96 an inch: a text column and a half.
WIDTH = 760
INK, RULE, UNSEEN = "#1d2126", "#d9dde2", "#e4e7eb"


def figures_by_name(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the figures of the page about some files, dressed for paper, by the name that their image gets; each has its own."""
    if len(paths) == 1 and holds_limits(paths[0]):
        drawn, labels = limits_figures(read_limits(paths[0])), None
    elif len(paths) == 1 and holds_comparison(paths[0]):
        drawn, labels = comparison_figures(read_comparison(paths[0])), None
    else:
        of_trials = [path for path in paths if holds_limits(path)]
        runs = analyse_runs(trainings([read_run(path) for path in paths if path not in of_trials]))
        panels = panels_of(runs)
        limits_sections([read_limits(path) for path in of_trials], panels)
        drawn, labels = panels.drawn, [analysed.label for analysed in runs]
    taken: set[str] = set()
    return {
        _file_name(name if labels is None else _labelled(name, labels), taken): on_paper(name, figure) for name, figure in drawn.items()
    }


def on_paper(name: str, figure: go.Figure) -> dict[str, Any]:
    """Return a figure as plain values in the colours of paper."""
    plain: dict[str, Any] = figure.to_plotly_json()
    layout: dict[str, Any] = plain["layout"]
    layout["width"] = WIDTH
    layout["paper_bgcolor"] = "white"
    layout["plot_bgcolor"] = UNSEEN if name.startswith(("map-", "channels-", "difference-")) else "white"
    layout["font"] = {**layout.get("font", {}), "color": INK, "family": "Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"}
    for key, axis in layout.items():
        if re.fullmatch(r"[xy]axis\d*", key) and isinstance(axis, Mapping):
            layout[key] = {**axis, "tickcolor": INK, "linecolor": INK, "showline": True}
            if axis.get("gridcolor", "") != "rgba(0,0,0,0)":
                layout[key]["gridcolor"] = RULE
    return plain


def _labelled(name: str, labels: Sequence[str]) -> str:
    """The name of a panel with its run's label in place of the run's number, which is left out where there is one run."""
    what, _, number = name.rpartition("-")
    if not number.isdigit():
        return name
    return f"{what}-{labels[int(number)]}" if len(labels) > 1 else what


def _file_name(name: str, taken: set[str]) -> str:
    """A name that every file system takes and no other figure has, with a number where it would; some do not tell letters by their case."""
    cleaned = re.sub(r"[^\w.-]+", "_", name)[:120]
    own = next(one for one in (cleaned, *(f"{cleaned}-{number}" for number in range(2, len(taken) + 3))) if one.casefold() not in taken)
    taken.add(own.casefold())
    return own
