"""A stretch trained again at several rates: its losses, and how large and how common to the batch what some layers compute becomes.

A column for the training as it is and one for a remedy, on the same scales.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.what_if import CURVE_PLACES, NONE, RemedyAnswer, Retrained, WhatIf
from bnprobe.analyse.what_if_rates import learns_less
from bnprobe.numerals import number
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.scales import value_axis
from bnprobe.report.wording import remedy_name
from bnprobe.store.limits_file import factor_of, grid_index_of

#: Remedies that have a field, in order.
SHOWN = (NONE, "msr")
#: Colour and dash from the slowest rate to the fastest: lightness falls, so that they are told apart in grey, too.
STYLES = (("#8a8a8a", "dot"), ("#38a3c4", "dash"), ("#2f7fc1", "solid"), ("#c98a00", "dash"), ("#d55e00", "dot"))
#: Fewer curves than these leave room for those at the ends of the bracket.
FEW_CURVES = 3
#: A loss of so many times the first is drawn at the edge: what leaves the figure has diverged.
HIGHEST = 10.0
#: A signal of so many times its first size, likewise.
LARGEST = 100.0
#: Heights in pixels: of the field of the losses, of a layer's, and between two.
_HIGH, _LOW, _GAP = 240, 84, 26
#: Room for the names of the columns, and for the steps and the legend.
_ABOVE, _BELOW = 22, 66


@dataclass(frozen=True)
class _Row:
    """A row of fields: one quantity, a field for each remedy."""

    title: str
    unit: str
    height: int
    values: Callable[[Retrained], NDArray[np.float64]]
    limits: tuple[float, float]


def what_if_figure(found: WhatIf) -> go.Figure:
    """Draw the loss over the steps of the stretch at rates around the script's own, and what layers computed meanwhile."""
    fields = [found.remedies[name] for name in SHOWN if name in found.remedies]
    chosen = with_ends(fields)
    styles = _styles([one for trials in chosen.values() for one in trials])
    rows = _rows(found, [one for trials in chosen.values() for one in trials])
    height = sum(row.height + _GAP for row in rows)
    layout: dict[str, Any] = {"margin": {"t": _ABOVE, "b": _BELOW}, "hovermode": "x unified", "hoversubplots": "axis"}
    annotations = []
    width = 1.0 / max(len(fields), 1)
    top = height
    for number_of_row, row in enumerate(rows):
        bottom = top - row.height
        for place, answer in enumerate(fields):
            suffix = _suffix(number_of_row * len(fields) + place)
            ends = [place * width + (0.02 if place else 0.0), (place + 1) * width - (0.02 if place + 1 < len(fields) else 0.0)]
            is_last = number_of_row + 1 == len(rows)
            layout[f"xaxis{suffix}"] = {
                **AXIS,
                "title_text": "step" if is_last else "",
                "showticklabels": is_last,
                "range": [-0.5, found.steps - 0.5],
                "domain": ends,
                "anchor": f"y{suffix}",
                "matches": "x" if suffix else None,
            }
            layout[f"yaxis{suffix}"] = {
                **AXIS,
                "title_text": "" if place else row.unit,
                "anchor": f"x{suffix}",
                "domain": [bottom / height, top / height],
                "showticklabels": not place,
                **value_axis(*row.limits, most=5 if row.height > _LOW else 3),
            }
            where = {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "y": 1.0}
            if not row.title:
                annotations.append(
                    {"text": remedy_name(answer.remedy) if answer.remedy == NONE else f"with {answer.remedy}", "x": 0.5, **where}
                )
            elif not place:  # once a row: a long name needs the width of both fields
                annotations.append({"text": row.title, "x": 0.0, "xanchor": "left", **where})
        top = bottom - _GAP
    layout["annotations"] = [{**one, "yanchor": "bottom", "showarrow": False, "font_size": 12} for one in annotations]
    layout["legend"] = {"yref": "container", "y": 0, "yanchor": "bottom"}
    figure = new_figure(height + _ABOVE + _BELOW, layout)
    named: set[str] = set()
    for number_of_row, row in enumerate(rows):
        for place, answer in enumerate(fields):
            _draw(figure, row, chosen[answer.remedy], styles, number_of_row * len(fields) + place, named)
    return figure


def _rows(found: WhatIf, trials: list[Retrained]) -> list[_Row]:
    first = next((float(one.losses[0]) for one in trials if one.losses.size), 1.0)
    low, high = _ends(trials, lambda one: one.losses)
    high = min(high, HIGHEST * first) if first > 0 else high
    rows = [_Row("", "loss", _HIGH, lambda one: one.losses, (low, max(low, high)))]
    shown = [one for one in trials if np.isfinite(one.rms).any()]
    for layer, name in enumerate(found.layers if shown else ()):
        rms = functools.partial(_of_layer, "rms", layer)
        low, high = _ends(shown, rms)
        starting = [float(one.rms[0, layer]) for one in shown if one.rms.size and one.rms[0, layer] > 0]
        high = min(high, LARGEST * max(starting)) if starting else high
        rows.append(_Row(f"output of {name}: root mean square", "rms", _LOW, rms, (low, max(low, high))))
    for layer, name in enumerate(found.layers if shown else ()):
        common = functools.partial(_of_layer, "common", layer)
        rows.append(_Row(f"output of {name}: share common to the batch", "share", _LOW, common, (0.0, 1.0)))
    return rows


def _of_layer(name: str, layer: int, one: Retrained) -> NDArray[np.float64]:
    values: NDArray[np.float64] = getattr(one, name)
    return values[:, layer] if values.ndim == 2 and layer < values.shape[1] else np.zeros(0)


def _ends(trials: list[Retrained], values: Callable[[Retrained], NDArray[np.float64]]) -> tuple[float, float]:
    known = np.concatenate([values(one) for one in trials] or [np.zeros(0)])
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _suffix(place: int) -> str:
    return "" if place == 0 else str(place + 1)


def curves(answer: RemedyAnswer) -> list[Retrained]:
    """Return the trainings that are drawn."""
    return [one for one in answer.trials if one.is_drawn][: len(STYLES)]


def with_ends(fields: list[RemedyAnswer]) -> dict[str, list[Retrained]]:
    """Return the trainings that are drawn, by remedy: where curves are few, those at the ends of the bracket, too, as far as styles go."""
    chosen = {answer.remedy: curves(answer) for answer in fields}
    known = {round(one.factor, 9) for trials in chosen.values() for one in trials}
    for answer in fields:
        if len(chosen[answer.remedy]) >= FEW_CURVES:
            continue
        for one in answer.trials:
            factor = round(one.factor, 9)
            if one.rate in (answer.trains_at, answer.fails_at) and not one.is_drawn and len(known | {factor}) <= len(STYLES):
                known.add(factor)
                chosen[answer.remedy].append(one)
    return {remedy: sorted(trials, key=lambda one: one.rate) for remedy, trials in chosen.items()}


def left_out(found: WhatIf) -> list[str]:
    """Say at which rates there is no curve, and why: the answer has a bound on its cost, and some slower rates are known to learn less."""
    said = []
    for name in SHOWN:
        tried = _by_place(found.remedies[name]) if name in found.remedies else {}
        missing = [place for place in CURVE_PLACES if tried and place not in tried]
        less = [place for place in missing if place < 0 and learns_less(tried, place)]
        if less:
            why = "which would learn less: of two faster rates the slower ended at the higher loss, or came to it later"
            said.append(f"{remedy_name(name)}: no curve at {_rates(found, less)}, {why}")
        if others := [place for place in missing if place not in less]:
            why = f"which the search did not need: more trainings of these {found.steps} steps would have cost more than is promised"
            said.append(f"{remedy_name(name)}: no curve at {_rates(found, others)}, {why}")
    return said


def _by_place(answer: RemedyAnswer) -> dict[int, Retrained]:
    places = ((grid_index_of(one.factor), one) for one in answer.trials if one.on_grid)
    return {place: one for place, one in places if place is not None}


def _rates(found: WhatIf, places: list[int]) -> str:
    return " and ".join(number(factor_of(place) * found.own_rate) for place in places)


def _styles(trials: list[Retrained]) -> dict[float, tuple[str, str]]:
    """Return colour and dash by factor: those of its place, so that a rate looks alike in all fields; one at no place gets what is free."""
    places = {round(factor_of(place), 9): style for place, style in zip(CURVE_PLACES, STYLES, strict=True)}
    factors = dict.fromkeys(round(one.factor, 9) for one in trials)
    free = [style for factor, style in places.items() if factor not in factors]
    return {factor: places.get(factor) or (free.pop(0) if free else STYLES[-1]) for factor in factors}


def _draw(figure: go.Figure, row: _Row, trials: list[Retrained], styles: dict[float, tuple[str, str]], place: int, named: set[str]) -> None:
    """Draw a field. ``named`` holds the rates that the legend has: a rate is named once, by the first field that draws it."""
    suffix = _suffix(place)
    for one in trials:
        colour, dash = styles[round(one.factor, 9)]
        words = f"rate {number(one.rate)}" + (" (the script's own)" if one.factor == 1.0 else "")
        values = row.values(one)
        figure.add_scatter(
            x=np.arange(len(values)),
            y=np.where(np.isfinite(values), values, np.nan),
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": dash},
            name=words,
            legendgroup=words,
            showlegend=words not in named,
            hovertemplate=f"{one.outcome} %{{y:.4g}}",
            xaxis=f"x{suffix}",
            yaxis=f"y{suffix}",
        )
        named.add(words)
