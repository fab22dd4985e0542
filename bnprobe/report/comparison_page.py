"""One self-contained page about compared techniques: in the manner of the page about a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go

from bnprobe.analyse.comparison import rows_of
from bnprobe.report.comparison_story import NOTHING, caveats, cells, headings, headline, why_not
from bnprobe.report.document import render_document, write_document
from bnprobe.report.figures.comparison import by_rate, courses, reached
from bnprobe.report.limits_page import attribute_lines
from bnprobe.report.limits_story import rate
from bnprobe.report.packing import pack
from bnprobe.report.wording import number
from bnprobe.store.comparison_file import WHOLE, Comparison, Trial, read_comparison


def write_comparison_page(path: Path, output: Path) -> None:
    """Write the page about a file of compared techniques.

    Raises:
        RunFileError: the file is missing or holds no compared techniques.
        UsageError: the page cannot be written.
    """
    write_document(render_comparison(read_comparison(path)), output)


def render_comparison(comparison: Comparison) -> str:
    """Return the page's text."""
    rows = rows_of(comparison)
    columns = headings(comparison)
    table = [(row.technique, cells(row, comparison), why_not(row), row.acts) for row in rows]
    kept = [i for i in range(len(columns)) if i == 0 or any(cell[i] != NOTHING for _, cell, why, _ in table if not why)]
    figures = comparison_figures(comparison)
    return render_document(
        "comparison.html",
        {"number": number, "rate": rate},
        {name: {**pack(figure), "run": 0} for name, figure in figures.items()},
        comparison=comparison,
        script_name=str(comparison.attributes.get("script", comparison.path.stem)),
        headline=headline(comparison),
        columns=[columns[i] for i in kept],
        table=[(name, [cell[i] for i in kept[1:]], why, acts) for name, cell, why, acts in table],
        trials=comparison.trials,
        trial_rate=lambda one: _trial_rate(one, comparison.own_rate),
        length=_length,
        caveats=caveats(comparison),
        heights={name: int(figure.layout.height) for name, figure in figures.items()},
        attributes=attribute_lines(_with_lengths_in_words(comparison.attributes)),
    )


def comparison_figures(comparison: Comparison) -> dict[str, go.Figure]:
    """Return the page's figures by their places; those of which nothing is known are left out."""
    rows = rows_of(comparison)
    drawn = {
        "accuracy": reached(rows, "held-out accuracy, per cent", lambda one: one.held_out_accuracy, percent=True),
        "held-out": reached(rows, "held-out loss", lambda one: one.held_out_loss),
        "training": reached(rows, "training loss at the end", lambda one: one.final_loss),
        "seconds": reached(rows, "milliseconds of processor time a step", lambda one: 1000.0 * one.step_seconds),
        "by-rate": by_rate(comparison, rows),
        "courses": courses(rows),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _trial_rate(trial: Trial, own: float) -> str:
    return rate(trial.factor * own) if math.isfinite(own) else NOTHING


def _length(trial: Trial) -> str:
    return "whole" if trial.length == WHOLE else str(trial.length)


def _with_lengths_in_words(attributes: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    return {name: "to the script's own end" if name == "steps" and value == WHOLE else value for name, value in attributes.items()}
